#!/usr/bin/env python3
"""The small ROOT files of tests/data/root and what is in them.

    scripts/make_root.py [FOLDER]

TTrees and RNTuples of every kind of number, arrays and lists, with every codec, by uproot 5.7;
what uproot cannot write (vectors, members of classes, lists without a counter, several leaves a
branch, TNtuple, reduced floats, trees whose last baskets are not in the file) by ROOT itself, `pip install ROOT`. `contents.json` has for every
file and tree the number of entries, and for every column the kind, and the sum and the number of
all its values, as uproot reads them.
"""

import json
import os
import pathlib
import sys

import awkward as ak
import numpy as np
import uproot

CODECS = {
    "none": None,
    "zlib": uproot.ZLIB(4),
    "lz4": uproot.LZ4(4),
    "zstd": uproot.ZSTD(5),
    "lzma": uproot.LZMA(4),
}
KINDS = ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f4", "f8"]


def numbers(rng, kind, size):
    """Numbers of a kind over all of its range."""
    if kind == "bool":
        return rng.random(size) < 0.3
    kind = np.dtype(kind)
    if kind.kind == "f":
        return rng.normal(scale=100.0, size=size).astype(kind)
    about = np.iinfo(kind)
    return rng.integers(about.min, about.max, size, dtype=kind, endpoint=True)


def events(seed, count, nested):
    """Columns of `count` events; `nested` those that a TTree of uproot cannot have."""
    rng = np.random.default_rng(seed)
    columns = {f"x_{kind}": numbers(rng, kind, count) for kind in ["bool", *KINDS]}
    columns["array"] = numbers(rng, "f4", (count, 3))
    columns["matrix"] = numbers(rng, "i2", (count, 2, 2))
    lengths = rng.integers(0, 4, count)
    for kind in ["f4", "i8", "bool"]:
        flat = numbers(rng, kind, int(lengths.sum()))
        columns[f"jet_{kind}"] = ak.unflatten(flat, lengths)
    if nested:
        inner = rng.integers(0, 3, int(lengths.sum()))
        flat = numbers(rng, "f8", int(inner.sum()))
        columns["parts"] = ak.unflatten(ak.unflatten(flat, inner), lengths)
        records = {"pt": columns["jet_f4"], "tag": columns["jet_bool"]}
        columns["jets"] = ak.zip(records)
        columns["met"] = ak.zip({"pt": columns["x_f4"], "phi": columns["x_f8"]})
    return columns


def tree(file, name, parts):
    """A TTree of several parts, each a basket a branch."""
    kinds = {}
    for key, values in parts[0].items():
        if isinstance(values, np.ndarray):
            kinds[key] = np.dtype((values.dtype, values.shape[1:]))
        else:
            kinds[key] = values.type.content
    # one list after the other: as a group they would share one counter
    file.mktree(name, kinds)
    for part in parts:
        file[name].extend(part)


def ntuple(file, name, parts):
    """An RNTuple of several clusters."""
    written = file.mkrntuple(name, parts[0])
    for part in parts[1:]:
        written.extend(part)


def of_uproot(folder):
    for codec, compression in CODECS.items():
        parts = [events(k, count, False) for k, count in enumerate((150, 1, 90))]
        with uproot.recreate(folder / f"tree_{codec}.root", compression=compression) as file:
            tree(file, "Events", parts)
        parts = [events(k, count, True) for k, count in enumerate((150, 1, 90))]
        with uproot.recreate(folder / f"ntuple_{codec}.root", compression=compression) as file:
            ntuple(file, "Events", parts)
        if compression is not None:
            # a basket of more than one block of 16 MiB
            with uproot.recreate(folder / f"blocks_{codec}.root", compression=compression) as file:
                file.mktree("Events", {"step": "f8"})
                file["Events"].extend({"step": np.repeat([1.0, 2.5, -1.0], 800_000)})
    with uproot.recreate(folder / "folders.root") as file:
        tree(file, "Events", [events(0, 5, False)])
        tree(file, "Events", [events(1, 7, False)])
        tree(file, "deep/er/Events", [events(2, 3, False)])
        file.mktree("Empty", {"x": "f4"})
        file["Runs"] = {"genEventSumw": np.array([10.5, 20.25]), "run": np.array([1, 2])}


def of_nano(folder):
    """Simulated events in two files, each with the sum of its generator's weights."""
    runs = [
        {"run": [1, 1], "genEventCount": [300, 500], "genEventSumw": [150.5, 249.25]},
        {"run": [1], "genEventCount": [2**53], "genEventSumw": [-99.75]},
    ]
    for number, about in enumerate(runs):
        rng = np.random.default_rng(7 + number)
        count = 400
        columns = {
            "run": np.ones(count, "u4"),
            "luminosityBlock": np.ones(count, "u4"),
            "event": np.arange(count, dtype="u8") + 1000 * number,
            "genWeight": np.where(rng.random(count) < 0.2, -0.5, 1.5).astype("f4"),
            "pt": rng.exponential(40.0, count).astype("f4"),
            "eta": rng.normal(size=count).astype("f4"),
        }
        rows = len(about["run"])
        about = {
            "run": np.array(about["run"], "u4"),
            "genEventCount": np.array(about["genEventCount"], "i8"),
            "genEventSumw": np.array(about["genEventSumw"], "f8"),
            "LHEScaleSumw": ak.Array([[0.5 + number, 1.0, 2.0]] * rows),
        }
        with uproot.recreate(folder / f"nano_{number + 1}.root") as file:
            tree(file, "Events", [columns])
            tree(file, "Runs", [about])
            if number == 0:
                tree(file, "Extra", [{"x": np.array([1.0])}])


def of_root(folder):
    try:
        import ROOT
    except ImportError:
        print("no ROOT: root_*.root are left as they are", file=sys.stderr)
        return
    ROOT.gROOT.SetBatch(True)
    ROOT.gInterpreter.Declare("""
        #include <vector>
        struct Pair { float a = 0; int b = 0; };
        void fill_vectors(const char *path) {
            TFile file(path, "RECREATE");
            TTree tree("Events", "");
            std::vector<float> pt; std::vector<int> id; std::vector<bool> tag;
            std::vector<unsigned char> small; std::vector<double> empty;
            std::vector<std::vector<float>> parts;
            Pair pair; int n = 0; float x[8]; double d = 0; Long64_t big = 0; char text[8] = "abc";
            Float16_t half = 0; Double32_t single = 0;
            tree.Branch("pt", &pt); tree.Branch("id", &id); tree.Branch("tag", &tag);
            tree.Branch("small", &small); tree.Branch("empty", &empty); tree.Branch("parts", &parts);
            tree.Branch("pair", &pair.a, "a/F:b/I");
            tree.Branch("n", &n, "n/I"); tree.Branch("x", x, "x[n]/F");
            tree.Branch("d", &d); tree.Branch("big", &big, "big/L");
            tree.Branch("text", text, "text/C");
            tree.Branch("half", &half, "half/f"); tree.Branch("single", &single, "single/d");
            tree.SetAutoFlush(64);
            for (int i = 0; i < 200; ++i) {
                n = i % 5; pt.clear(); id.clear(); tag.clear(); small.clear(); parts.clear();
                for (int j = 0; j < n; ++j) {
                    x[j] = i + 0.25f * j; pt.push_back(x[j]); id.push_back(i - j);
                    tag.push_back((i + j) % 3 == 0); small.push_back(200 + j);
                    parts.push_back({x[j], 1.5f});
                }
                pair.a = 0.5f * i; pair.b = -i; d = i / 3.0; big = (1LL << 60) + i;
                half = i; single = i;
                tree.Fill();
            }
            tree.Write();
            TNtuple flat("flat", "", "u:v");
            for (int i = 0; i < 50; ++i) flat.Fill(i, 0.5f * i);
            flat.Write();
        }
        struct Base {
            std::vector<int> id;
            Float16_t half;
            Double32_t range; //[-2,2,16] of each
            virtual ~Base() {}
        };
        struct Track { float pt = 0; std::vector<float> hits; };
        struct Event : public Base {
            std::vector<float> pt;
            std::vector<bool> tag;
            std::vector<std::vector<float>> parts;
            std::vector<float> two[2];
            std::vector<Track> tracks;
            float p[3];
            int n = 0;
            float *x = nullptr; //[n]
            Double32_t phi[2]; //[-pi,pi,20]
            Double32_t single;
            virtual ~Event() {}
            ClassDef(Event, 3)
        };
        struct Inner { std::vector<short> s; };
        struct Outer { Inner in; std::vector<double> z; };
        void fill_split(const char *path) {
            TFile file(path, "RECREATE");
            TTree tree("Events", "");
            Event *event = new Event; Outer *outer = new Outer;
            float x[4]; event->x = x;
            tree.Branch("event.", &event, 32000, 99); tree.Branch("outer", &outer, 32000, 99);
            tree.SetAutoFlush(64);
            for (int i = 0; i < 200; ++i) {
                event->n = i % 4;
                event->id.clear(); event->pt.clear(); event->tag.clear(); event->parts.clear();
                event->tracks.clear(); outer->in.s.clear(); outer->z.clear();
                for (auto &two : event->two) two.assign(i % 3, i);
                for (int j = 0; j < event->n; ++j) {
                    event->id.push_back(i - 3 * j); event->pt.push_back(i + 0.25f * j);
                    event->tag.push_back((i + j) % 3 == 0); event->parts.push_back({1.0f * j, 2});
                    event->tracks.push_back({1.0f * i + j, {2.0f * i, 0.5f * j}});
                    outer->in.s.push_back(j - i); outer->z.push_back(i / 3.0 - j);
                    x[j] = i * j;
                }
                for (int j = 0; j < 3; ++j) event->p[j] = i - j;
                event->half = 0.5f * i; event->range = (i % 17) / 8.0 - 1; event->single = i / 3.0;
                event->phi[0] = (i % 63) / 10.0 - 3.1; event->phi[1] = -event->phi[0];
                tree.Fill();
            }
            tree.Write();
        }
        void fill_open(const char *path) {
            TFile file(path, "RECREATE");
            TTree tree("Events", ""), small("small", "");
            int n = 0; float x[8]; std::vector<int> v; double d = 0; short s[2];
            for (TTree *to : {&tree, &small}) {
                to->Branch("n", &n, "n/I"); to->Branch("x", x, "x[n]/F"); to->Branch("v", &v);
                to->Branch("d", &d); to->Branch("s", s, "s[2]/S");
            }
            tree.SetAutoFlush(64);
            for (int i = 0; i < 200; ++i) {
                n = i % 5; v.clear(); d = i / 3.0; s[0] = i; s[1] = -i;
                for (int j = 0; j < n; ++j) { x[j] = i + 0.25f * j; v.push_back(i * j); }
                tree.Fill();
                if (i < 20) small.Fill();
            }
            // as a program that ends before it has written its trees
            tree.AutoSave(); small.AutoSave();
        }
    """)
    # ROOT writes the path into the file as it is given
    os.chdir(folder)
    ROOT.fill_vectors("root_tree.root")
    ROOT.fill_split("root_split.root")
    ROOT.fill_open("root_open.root")
    model = ROOT.RNTupleModel.Create()
    model.MakeField["float"]("x")
    model.MakeField["std::vector<float>"]("pt")
    model.MakeField["std::string"]("text")
    model.MakeField["bool"]("flag")
    model.MakeField["std::array<float, 3>"]("p")
    model.MakeField["std::int16_t"]("small")
    with ROOT.RNTupleWriter.Recreate(model, "Events", "root_ntuple.root") as writer:
        entry = writer.CreateEntry()
        for i in range(200):
            entry["x"] = 0.5 * i
            entry["pt"] = [i + 0.25 * j for j in range(i % 4)]
            entry["text"] = f"event {i}"
            entry["flag"] = i % 3 == 0
            for j in range(3):
                entry["p"][j] = i - j
            entry["small"] = 7 * i - 700
            writer.Fill(entry)
            if i == 120:
                writer.CommitCluster()


def weighted(values):
    """The sum of values, each times 1 to 1000 by its place; exact for integers, as a text."""
    if values.dtype.kind in "biu":
        return str(sum((k % 1000 + 1) * int(value) for k, value in enumerate(values)))
    return str(float(np.sum((np.arange(len(values)) % 1000 + 1) * values.astype("f8"))))


def contents(path):
    """What uproot reads of a file."""
    found = {}
    with uproot.open(path) as file:
        for name, of_class in file.classnames(cycle=True).items():
            if of_class not in ("TTree", "TNtuple", "ROOT::RNTuple"):
                continue
            table, columns = file[name], {}
            for key in table.keys(full_paths=True):
                try:
                    array = table[key].array()
                    values = ak.to_numpy(ak.flatten(array, axis=None))
                except Exception as error:
                    print(f"{path.name}, {name}, {key}: {error}", file=sys.stderr)
                    continue
                if ak.fields(array) or values.dtype.kind not in "biuf":
                    continue
                column = {
                    "kind": str(values.dtype),
                    "values": len(values),
                    "sum": weighted(values),
                }
                if array.ndim > 1:
                    column["lengths"] = weighted(ak.to_numpy(ak.num(array, axis=1)))
                # as the program names them: without the branches around, and dimensions
                columns[key.split("/")[-1].split("[")[0]] = column
            found[name] = {"entries": int(table.num_entries), "columns": columns}
    return found


def main():
    root = pathlib.Path(__file__).resolve().parent.parent
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "tests/data/root"
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    of_uproot(folder)
    of_nano(folder)
    of_root(folder)
    found = {path.name: contents(path) for path in sorted(folder.glob("*.root"))}
    (folder / "contents.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
