#!/usr/bin/env python3
"""The two files of the tutorial: events in the format of NanoAOD, with two b tags and with four.

    scripts/make_nanoaod.py [FOLDER]           (tests/data/nanoaod if absent)

`Events` has about 200 branches: jets, leptons and fat jets as lists, missing energy, vertices,
triggers, filters; beside it `Runs` and `LuminosityBlocks`. Events are drawn, not simulated: both
files are of one parent distribution, an event of which has four tags with a probability that is
a smooth function of its jets (`share_of_four`). So the ratio of the samples exists everywhere,
and nothing but those functions is in it. Weights are those of prescaled triggers. Made by
uproot 5.7.
"""

import pathlib
import sys

import awkward as ak
import numpy as np
import uproot

SEED = 20
PARENTS = 10_000
HLT = """
    QuadPFJet70_50_40_30 QuadPFJet70_50_40_30_PFBTagParticleNet_2BTagSum0p65
    QuadPFJet103_88_75_15 QuadPFJet105_88_76_15 QuadPFJet111_90_80_15
    QuadPFJet103_88_75_15_PFBTagDeepJet_1p3_VBF2 QuadPFJet105_88_76_15_PFBTagDeepJet_1p3_VBF2
    PFHT180 PFHT250 PFHT370 PFHT430 PFHT510 PFHT590 PFHT680 PFHT780 PFHT890 PFHT1050
    PFHT330PT30_QuadPFJet_75_60_45_40 PFHT400_SixPFJet32 PFHT450_SixPFJet36
    PFHT400_FivePFJet_100_100_60_30_30 PFJet40 PFJet60 PFJet80 PFJet110 PFJet140 PFJet200 PFJet260
    PFJet320 PFJet400 PFJet450 PFJet500 PFJet550 AK8PFJet400 AK8PFJet450 AK8PFJet500
    AK8PFJet400_MassSD30 AK8PFHT800_TrimMass50 DiPFJetAve40 DiPFJetAve60 DiPFJetAve80
    DiPFJetAve140 DiPFJetAve200 DiPFJetAve260 DiPFJetAve320 DiPFJetAve400 IsoMu20 IsoMu24 IsoMu27
    Mu50 Mu12_DoublePFJets40_PFBTagDeepJet_p71 Mu17_TrkIsoVVL_Mu8_TrkIsoVVL_DZ_Mass3p8
    Ele30_WPTight_Gsf Ele32_WPTight_Gsf Ele35_WPTight_Gsf Ele115_CaloIdVT_GsfTrkIdT
    Ele23_Ele12_CaloIdL_TrackIdL_IsoVL Photon175 Photon200 PFMET120_PFMHT120_IDTight
    PFMETNoMu120_PFMHTNoMu120_IDTight PFMET200_BeamHaloCleaned DoublePFJets40_Mass450
    DoublePFJets100_PFBTagDeepJet_p71 DoublePFJets116MaxDeta1p6_PFBTagDeepJet_p71
    Physics Random ZeroBias HcalNZS AlCa_EcalPhiSym Trimuon5_3p5_2_Upsilon_Muon
""".split()
L1 = """
    HTT200er HTT255er HTT280er HTT320er HTT360er HTT400er HTT450er SingleJet35 SingleJet60
    SingleJet90 SingleJet120 SingleJet180 SingleJet200 DoubleJet40er2p3 DoubleJet100er2p3
    DoubleJet120er2p3 DoubleJet112er2p3_dEta_Max1p6 HTT320er_QuadJet_70_55_40_40_er2p5
    HTT360er_QuadJet_70_55_40_35_er2p5 QuadJet60er2p5 SingleMu22 SingleMu25 DoubleMu_15_7
    SingleEG36er2p5 SingleIsoEG30er2p5 ETMHF100 ETMHF110 ETMHF90_HTT60er
    DoubleIsoTau34er2p1 Mu18er2p1_Tau24er2p1 TripleMu_5_3_3 TripleJet_95_75_65_DoubleJet_75_65_er2p5
    Mu6_HTT240er DoubleEG_25_12_er2p5 LooseIsoEG28er2p1_HTT100er ZeroBias AlwaysTrue
""".split()
FILTERS = """
    goodVertices globalSuperTightHalo2016Filter HBHENoiseFilter HBHENoiseIsoFilter
    EcalDeadCellTriggerPrimitiveFilter BadPFMuonFilter BadPFMuonDzFilter hfNoisyHitsFilter
    eeBadScFilter ecalBadCalibFilter BadChargedCandidateFilter METFilters
""".split()


def rounded(values, bits=9):
    """Floats with a mantissa of few bits, as NanoAOD has them."""
    mantissa, exponent = np.frexp(np.asarray(values, dtype="f8"))
    return np.ldexp(np.round(mantissa * 2**bits) / 2**bits, exponent).astype("f4")


def jets(rng, count):
    """Lists of jets by falling pT: [count] lists of pt, eta, phi, mass and the like."""
    number = np.minimum(4 + rng.poisson(0.9, count), 10)
    flat = int(number.sum())
    pt = ak.unflatten(32 + rng.gamma(1.4, 38.0, flat), number)
    pt = ak.sort(pt * rng.lognormal(0.0, 0.25, count), ascending=False)
    event = np.repeat(np.arange(count), number)
    first = np.arange(flat) == np.repeat(np.cumsum(number) - number, number)
    # every jet leans on the first one of its event, in direction or back to back
    phi = rng.uniform(-np.pi, np.pi, count)[event]
    phi += ~first * (rng.integers(0, 2, flat) * np.pi + rng.normal(0.0, 0.9, flat))
    eta = np.clip(0.7 * rng.normal(size=count)[event] + 0.8 * rng.normal(size=flat), -2.4, 2.4)
    pt_flat = ak.to_numpy(ak.flatten(pt))
    return number, {
        "pt": rounded(pt_flat),
        "eta": rounded(eta),
        "phi": rounded((phi + np.pi) % (2 * np.pi) - np.pi),
        "mass": rounded(pt_flat * rng.gamma(6.0, 0.022, flat), 7),
    }


def share_of_four(number, jet):
    """Probability of an event to have four tags: of the number of jets, the scalar sum of
    their pT and the distance of the first two."""
    lists = {name: ak.unflatten(values, number) for name, values in jet.items()}
    ht = ak.to_numpy(ak.sum(lists["pt"], axis=1))
    deta = ak.to_numpy(lists["eta"][:, 0] - lists["eta"][:, 1])
    dphi = np.abs(ak.to_numpy(lists["phi"][:, 0] - lists["phi"][:, 1]))
    dr = np.hypot(deta, np.minimum(dphi, 2 * np.pi - dphi))
    slope = -1.0 + 0.55 * (number - 4.9) + 0.9 * np.log(ht / 330.0) - 0.5 * (dr - 2.4)
    return 1.0 / (1.0 + np.exp(-slope))


def with_tags(rng, number, tags):
    """Tag scores of jets, of which as many as asked for are above 0.6 in an event."""
    scores = []
    for jets_of_event in number:
        low = rng.beta(1.1, 6.0, jets_of_event) * 0.5
        tagged = rng.permutation(jets_of_event)[:tags]
        low[tagged] = 0.6 + 0.4 * rng.beta(3.0, 1.0, tags)
        scores.append(low)
    return rounded(np.concatenate(scores), 6)


def objects(rng, count, mean, columns):
    """Lists of few objects: columns by a kind of number."""
    number = rng.poisson(mean, count)
    flat = int(number.sum())
    kinds = {
        "pt": lambda: rounded(10 + rng.exponential(25.0, flat), 7),
        "eta": lambda: rounded(rng.uniform(-2.4, 2.4, flat), 7),
        "phi": lambda: rounded(rng.uniform(-np.pi, np.pi, flat), 7),
        "mass": lambda: rounded(rng.exponential(30.0, flat), 7),
        "charge": lambda: rng.choice(np.array([-1, 1], "i4"), flat),
        "id": lambda: rng.random(flat) < 0.7,
        "int": lambda: rng.integers(0, 5, flat).astype("i4"),
        "float": lambda: rounded(rng.exponential(0.2, flat), 6),
    }
    values = {name: kinds[kind]() for name, kind in columns.items()}
    return ak.zip({name: ak.unflatten(flat, number) for name, flat in values.items()})


def events(rng, number, jet, tags, run):
    """All branches of a file's events."""
    count, flat = len(number), int(number.sum())
    pt = ak.unflatten(jet["pt"], number)
    ht = ak.to_numpy(ak.sum(pt, axis=1)).astype("f8")
    jet = dict(jet)
    jet["btagDeepFlavB"] = with_tags(rng, number, tags)
    jet["jetId"] = np.where(rng.random(flat) < 0.98, 6, 2).astype("u1")
    jet["puId"] = np.where(rng.random(flat) < 0.95, 7, 4).astype("i4")
    jet["nMuons"] = (rng.random(flat) < 0.08).astype("u1")
    jet["area"] = np.full(flat, 0.5, "f4")
    jet["electronIdx1"] = np.full(flat, -1, "i2")
    vertices = rng.poisson(32, count).astype("i4")
    met, met_phi = rng.exponential(28.0, count), rng.uniform(-np.pi, np.pi, count)
    columns = {
        "run": np.full(count, run, "u4"),
        "luminosityBlock": np.sort(rng.integers(1, 400, count)).astype("u4"),
        "event": np.sort(rng.choice(50_000_000, count, replace=False)).astype("u8"),
        "bunchCrossing": rng.integers(1, 3500, count).astype("u4"),
        "weight": np.where(rng.random(count) < 0.1, 2.0, 1.0).astype("f4"),
        "Jet": ak.zip({name: ak.unflatten(values, number) for name, values in jet.items()}),
    }
    lepton = {
        "pt": "pt", "eta": "eta", "phi": "phi", "charge": "charge", "pdgId": "charge",
        "dxy": "float", "dz": "float", "sip3d": "float", "pfRelIso03_all": "float",
        "miniPFRelIso_all": "float", "jetIdx": "int",
    }  # fmt: skip
    muon = lepton | {name: "id" for name in ["looseId", "mediumId", "tightId", "isGlobal"]}
    electron = lepton | {"cutBased": "int", "convVeto": "id", "mvaIso_WP90": "id"}
    fat = {"pt": "pt", "eta": "eta", "phi": "phi", "mass": "mass", "msoftdrop": "mass"}
    fat |= {"tau1": "float", "tau2": "float", "tau3": "float", "subJetIdx1": "int"}
    columns["Muon"] = objects(rng, count, 0.06, muon)
    columns["Electron"] = objects(rng, count, 0.04, electron)
    columns["FatJet"] = objects(rng, count, 0.08, fat)
    columns["Photon"] = objects(rng, count, 0.03, {"pt": "pt", "eta": "eta", "phi": "phi"})
    columns["Tau"] = objects(rng, count, 0.03, {"pt": "pt", "eta": "eta", "charge": "charge"})
    for name, scale in [("MET", 1.0), ("PuppiMET", 0.8)]:
        columns[f"{name}_pt"] = rounded(scale * met, 7)
        columns[f"{name}_phi"] = rounded(met_phi, 7)
    columns["MET_sumEt"] = rounded(900 + 1.2 * ht, 7)
    columns["PV_npvs"] = vertices
    columns["PV_npvsGood"] = (vertices - rng.binomial(vertices, 0.2)).astype("i4")
    columns["PV_z"] = rounded(rng.normal(0.0, 3.5, count), 7)
    columns["PV_chi2"] = rounded(rng.gamma(80.0, 0.0125, count), 6)
    columns["Rho_fixedGridRhoFastjetAll"] = rounded(0.7 * vertices + rng.normal(0, 1, count), 6)
    for name in FILTERS:
        columns[f"Flag_{name}"] = np.ones(count, bool)
    columns["Flag_hfNoisyHitsFilter"] = rng.random(count) < 0.999
    for name in HLT:
        columns[f"HLT_{name}"] = np.zeros(count, bool)
    for threshold in [180, 250, 370, 430, 510, 590, 680, 780, 890, 1050]:
        columns[f"HLT_PFHT{threshold}"] = ht > threshold
    columns["HLT_QuadPFJet70_50_40_30"] = ak.to_numpy(pt[:, 0] > 70)
    for name in L1:
        columns[f"L1_{name}"] = np.zeros(count, bool)
    columns["L1_HTT280er"] = ht > 280
    columns["L1_HTT360er"] = ht > 360
    return columns


def write(path, columns, run):
    kinds = {}
    for name, values in columns.items():
        kinds[name] = values.dtype if isinstance(values, np.ndarray) else values.type.content
    with uproot.recreate(path, compression=uproot.LZMA(9)) as file:
        file.mktree("Events", kinds)
        file["Events"].extend(columns)
        file.mktree("LuminosityBlocks", {"run": "u4", "luminosityBlock": "u4"})
        blocks = np.unique(columns["luminosityBlock"])
        rows = {"run": np.full(len(blocks), run, "u4"), "luminosityBlock": blocks}
        file["LuminosityBlocks"].extend(rows)
        file.mktree("Runs", {"run": "u4"})
        file["Runs"].extend({"run": np.array([run], "u4")})


def main():
    standard = pathlib.Path(__file__).parent.parent / "tests/data/nanoaod"
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else standard
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(SEED)
    number, jet = jets(rng, PARENTS)
    has_four = rng.random(PARENTS) < share_of_four(number, jet)
    event = np.repeat(np.arange(PARENTS), number)
    for name, chosen, tags, run in [("2b", ~has_four, 2, 362_104), ("4b", has_four, 4, 362_105)]:
        of_jets = chosen[event]
        chosen_jets = {key: values[of_jets] for key, values in jet.items()}
        columns = events(rng, number[chosen], chosen_jets, tags, run)
        path = folder / f"{name}.root"
        write(path, columns, run)
        with uproot.open(path) as file:
            tree = file["Events"]
            size = path.stat().st_size
            print(f"{path}: {tree.num_entries} events, {len(tree.keys())} branches, {size} bytes")


if __name__ == "__main__":
    main()
