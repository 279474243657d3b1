#!/usr/bin/env python3
"""Simulate collisions for HH -> 4b studies with Pythia 8 and fastjet.

Simulated, and not data or simulation of any experiment. Needs the pip packages
pythia8mc (8.317), fastjet (3.5), awkward, numpy, pyarrow.

usage
  generate_collisions.py gen --stream qcd --seed 12 --minutes 60 --out OUT
      run one stream until --target selected events or --minutes are reached; writes
      OUT/parts/STREAM_SEED_K.parquet and OUT/parts/STREAM_SEED.json (counters).
      Streams with different seeds may run side by side.
  generate_collisions.py merge --out OUT
      shuffle the parts into OUT/out/{qcd_2b,qcd_3b,qcd_4b,hh_4b,ttbar}.parquet
      and write OUT/out/merge_report.json
  With --jets, gen keeps all jets above 25 GeV as lists and the events outside the mass box too,
  and merge writes OUT/out/{jets_3b,jets_4b}.parquet, in turns of both classes' streams.

streams
  qcd       bb + jets; gives the 2b, 3b and 4b events in their natural proportion
  qcdheavy  the same with g -> bb enhanced; only its 4b events are kept, to have more of them
  hh        gg -> X -> hh -> 4b, nine masses of X mixed
  ttbar     all-hadronic top pairs

chain of one event
  1. Pythia 8, pp at 13 TeV, initial and final state radiation, no multiparton interactions;
     hadronisation, but hadron decays off: a B hadron keeps its full energy, which stands in for
     the corrections for muons, neutrinos and b jets.
  2. anti-kT jets with R = 0.4; energy scale factor and Gaussian pT smearing; pT > 40 GeV, |eta| < 2.5.
  3. flavour of a jet from B or D hadrons within dR < 0.3; b tag drawn at random by flavour. One
     draw an event: no event is used twice, so the files are statistically independent.
  4. four Higgs-candidate (HC) jets, paired by the smallest dR; features. With --jets they are made
     of the rounded jets that are written: momenta with mantissas of 12 bits.

speed
  Events that cannot give four jets of pT > 40 GeV are vetoed early: QCD events inside the shower
  when it has come down to 15 GeV (UserHooks::doVetoPT), hh and ttbar at process level. Where an
  event has just the smallest number of b quarks, their tags are drawn at that point already: the
  same probability, no weight, and no time spent on events that fail.

Units: GeV, radians, natural logarithms.
"""

import argparse
import json
import math
import os
import sys
import time

import numpy as np

EFF = {5: 0.85, 4: 0.20, 0: 0.01}  # b/c/light tag probabilities
JES, JER = 1.03, 0.10  # jet energy scale factor, relative pT resolution
PTMIN, ETAMAX, R = 40.0, 2.5, 0.4
PTHATMIN = 60.0
PARTON_PT = 38.0  # shower-level (15 GeV) jet threshold of the QCD filter
G2BB = 10  # g->bb kernel factor in 'qcdheavy' (weights ignored on purpose)
NJMAX = 8  # jets above PTMIN kept per event
OTHER_PT, NJLIST = 25.0, 16  # with --jets: threshold and number of the jets in the lists
MANTISSA = 12  # with --jets: bits of a momentum
HH_MASS = [900, 750, 600, 500, 450, 400, 360, 320, 280]  # X masses, and their fractions
HH_FRAC = [0.03, 0.06, 0.11, 0.14, 0.18, 0.20, 0.16, 0.08, 0.04]


# ----------------------------------------------------------------------------- generation hooks
def make_hook(pythia8mc, stream, rng, box):
    """The early veto of a stream, within the mass plane if `box`.

    hook.flags: pz of particle 5 -> (tags drawn already, >= 4 heavy quarks).
    """
    eb2 = EFF[5] ** 2
    heavymode = stream == "qcdheavy"
    eb = EFF[5]
    ptcut = 34.0 if stream == "hh" else 30.0

    class ShowerHook(pythia8mc.UserHooks):
        """QCD: look at the partons when the interleaved shower reaches pT = 15 GeV."""

        def __init__(self):
            super().__init__()
            self.tried = 0
            self.kept = 0
            self.flags = {}

        def canVetoProcessLevel(self):
            return True

        def doVetoProcessLevel(self, ev):
            # hard b quarks inside |eta|<2.9, and "both are b tagged" drawn here with probability eff^2.
            # (events with an extra g->bb get their tags drawn afresh later: their rate relative to
            #  plain bb events is hence scaled by eff^2 = 0.72; shapes are untouched)
            self.tried += 1
            return rng.random() > eb2 or abs(ev[5].eta()) > 2.9 or abs(ev[6].eta()) > 2.9

        def canVetoPT(self):
            return True

        def scaleVetoPT(self):
            return 15.0

        def doVetoPT(self, iPos, ev):
            n = nball = nheavy = 0
            L = []
            for i in range(ev.size() - 1, 4, -1):
                p = ev[i]
                if p.status() > 0:
                    pt = p.pT()
                    idp = p.idAbs()
                    if idp == 5:
                        nball += 1
                    if pt < 12:
                        continue
                    if pt > 15 and (idp == 4 or idp == 5):
                        nheavy += 1
                    if pt > 30:
                        n += 1
                    L.append((pt, i, idp == 5))
            if n < 4:
                return True
            heavy = nheavy >= 4
            if heavymode and nball < 4:
                return True
            # merge partons closer than 0.4 (hardest first): crude parton jets
            L.sort(reverse=True)
            J = []
            for pt, i, isb in L:
                p = ev[i]
                eta, phi = p.eta(), p.phi()
                for q in J:
                    d = abs(phi - q[2])
                    d = min(d, 2 * math.pi - d)
                    if (eta - q[1]) ** 2 + d * d < 0.16:
                        q[3] += p.px()
                        q[4] += p.py()
                        q[5] += p.pz()
                        q[6] += p.e()
                        q[7] = q[7] or isb
                        break
                else:
                    J.append([pt, eta, phi, p.px(), p.py(), p.pz(), p.e(), isb])
            K = []
            for q in J:
                q[0] = math.hypot(q[3], q[4])
                if q[0] > PARTON_PT:
                    q[1] = math.asinh(q[5] / q[0])
                    q[2] = math.atan2(q[4], q[3])
                    if abs(q[1]) < 2.6:
                        K.append(q)
            if len(K) < 4:
                return True
            K.sort(key=lambda q: (not q[7], -q[0]))
            K = K[:4]  # b jets first
            nb = sum(q[7] for q in K)
            if nb < (4 if heavymode else 2):
                return True
            # same pairing as in the analysis; wide window of the mass plane
            best = None
            for (a, b), (c, d) in PAIRINGS if box else ():
                r = []
                for x, y in ((K[a], K[b]), (K[c], K[d])):
                    P = [x[k] + y[k] for k in (3, 4, 5, 6)]
                    dp = abs(x[2] - y[2])
                    dp = min(dp, 2 * math.pi - dp)
                    r.append(
                        (
                            math.hypot(P[0], P[1]),
                            math.hypot(x[1] - y[1], dp),
                            math.sqrt(max(P[3] ** 2 - P[0] ** 2 - P[1] ** 2 - P[2] ** 2, 0)),
                        )
                    )
                lead = max(r)
                if best is None or lead[1] < best[0]:
                    best = (lead[1], r[0][2], r[1][2])
            if box and not (43 < best[1] < 220 and 43 < best[2] < 220):
                return True
            pre = nball == 2
            if heavymode and nball == 4:
                if rng.random() > eb2:
                    return True  # the other two b quarks
                pre = True
            self.kept += 1
            self.flags[ev[5].pz()] = (pre, heavy)
            return False

    class ProcHook(pythia8mc.UserHooks):
        """hh / ttbar: acceptance at process level (resonances already decayed)."""

        def __init__(self):
            super().__init__()
            self.tried = 0
            self.kept = 0
            self.flags = {}

        def canVetoProcessLevel(self):
            return True

        def doVetoProcessLevel(self, ev):
            self.tried += 1
            n = nb = nball = 0
            for i in range(5, ev.size()):
                p = ev[i]
                if p.status() > 0:
                    isb = p.idAbs() == 5
                    nball += isb
                    if p.pT() > ptcut and abs(p.eta()) < 2.6:
                        n += 1
                        nb += isb
            need = 4 if stream == "hh" else 2
            if n < 4 or nb < need:
                return True
            pre = nball == need
            if pre and rng.random() > eb**need:
                return True
            self.kept += 1
            self.flags[ev[5].pz()] = (pre, False)
            return False

    return ShowerHook() if stream.startswith("qcd") else ProcHook()


def make_pythia(pythia8mc, stream, seed, mass, hook, xml):
    """A ready Pythia for the stream; mass is that of X, for hh only."""
    p = pythia8mc.Pythia(xml or os.path.join(sys.prefix, "share/Pythia8/xmldoc"), False)
    s = [
        "Print:quiet=on",
        "Beams:eCM=13000.",
        "PartonLevel:MPI=off",
        "HadronLevel:Decay=off",
        "Random:setSeed=on",
        f"Random:seed={seed}",
    ]
    if stream.startswith("qcd"):
        # pTmaxMatch=2: 'power shower' ISR (emissions up to the kinematic limit): 4-jet rate x5
        s += ["HardQCD:hardbbbar=on", f"PhaseSpace:pTHatMin={PTHATMIN}", "SpaceShower:pTmaxMatch=2"]
        if stream == "qcdheavy":
            s += ["Enhancements:doEnhance=on", f"EnhancedSplittings:List={{fsr:G2BB={G2BB}}}"]
    elif stream == "ttbar":
        s += ["Top:gg2ttbar=on", "Top:qqbar2ttbar=on", "24:onMode=off", "24:onIfAny=1 2 3 4 5"]
    elif stream == "hh":
        s += [
            "Higgs:useBSM=on",
            "HiggsBSM:gg2H2=on",
            "25:m0=125.0",
            "25:onMode=off",
            "25:onIfMatch=5 -5",
            f"35:m0={mass}",
            f"35:mWidth={0.05 * mass}",
            "35:doForceWidth=on",
            "35:mMin=255",
            f"35:mMax={1.4 * mass}",
            "35:onMode=off",
            "35:onIfMatch=25 25",
        ]
    for x in s:
        if not p.readString(x):
            raise RuntimeError(x)
    if hook is not None:
        p.setUserHooksPtr(hook)
    if not p.init():
        raise RuntimeError("pythia init")
    return p


# ----------------------------------------------------------------------------- reconstruction
def pad(ak, a, n, fill):
    """Ragged (n_events, *) -> rectangular (n_events, n), filled up or cut off."""
    return ak.to_numpy(ak.fill_none(ak.pad_none(a, n, axis=1, clip=True), fill)).astype(float)


def dphi(a, b):
    """a - b, wrapped to [-pi, pi)."""
    return (a - b + np.pi) % (2 * np.pi) - np.pi


def fourvec(pt, eta, phi, m):
    """(px, py, pz, E) on a new last axis."""
    px, py, pz = pt * np.cos(phi), pt * np.sin(phi), pt * np.sinh(eta)
    return np.stack([px, py, pz, np.sqrt(px**2 + py**2 + pz**2 + m**2)], -1)


def mass(p):
    return np.sqrt(np.maximum(p[..., 3] ** 2 - p[..., 0] ** 2 - p[..., 1] ** 2 - p[..., 2] ** 2, 0))


def ptep(p):
    """Four-vector -> pt, eta, phi."""
    pt = np.hypot(p[..., 0], p[..., 1])
    return pt, np.arcsinh(p[..., 2] / np.maximum(pt, 1e-6)), np.arctan2(p[..., 1], p[..., 0])


def rounded(values):
    """Single precision with MANTISSA bits, so that files are short."""
    bits = np.asarray(values, np.float32).view(np.uint32).astype(np.uint64)
    drop = 23 - MANTISSA
    bits = (bits + (1 << (drop - 1))) >> drop << drop
    return bits.astype(np.uint32).view(np.float32).astype(float)


def cluster(ak, fastjet, b, rng, lists):
    """-> pt, eta, phi, m, flavour: (n_events, NJMAX), pT sorted, zero padded; only pT>PTMIN jets.

    With `lists` also the first five of all jets above OTHER_PT, NJLIST of them, rounded.
    """
    low, width = (15.0, NJLIST + 6) if lists else (22.0, 14)
    pr = b.prt
    px, py, pz, e = pr.p.px, pr.p.py, pr.p.pz, pr.p.e
    sel = (pr.status > 0) & (abs(pz) < 11.0 * np.hypot(px, py))  # |eta| < ~3.1
    px, py, pz, e, pid = px[sel], py[sel], pz[sel], e[sel], abs(pr.id[sel])
    vec = ak.zip({"px": px, "py": py, "pz": pz, "E": e}, with_name="Momentum4D")
    jd = fastjet.JetDefinition(fastjet.antikt_algorithm, R)
    jets = fastjet.ClusterSequence(vec, jd).inclusive_jets(min_pt=low)
    P = np.stack([pad(ak, v, width, 0) for v in (jets.px, jets.py, jets.pz, jets.E)], -1)
    m = mass(P)
    pt, eta, phi = ptep(P)
    # heavy hadrons (undecayed, so they are final particles)
    isb = ((pid // 100) % 10 == 5) | ((pid // 1000) % 10 == 5)
    isc = ((pid // 100) % 10 == 4) | ((pid // 1000) % 10 == 4)
    flav = np.zeros(pt.shape, int)
    for fl, msk in ((4, isc & ~isb), (5, isb)):
        k = msk & (np.hypot(px, py) > 5)
        hx, hy, hz = (pad(ak, v[k], 6, 0) for v in (px, py, pz))
        hpt = np.hypot(hx, hy)
        he = np.arcsinh(hz / np.maximum(hpt, 1e-6))
        hp = np.arctan2(hy, hx)
        dr2 = (eta[:, :, None] - he[:, None]) ** 2 + dphi(phi[:, :, None], hp[:, None]) ** 2
        hit = ((dr2 < 0.09) & (hpt[:, None] > 0)).any(-1)
        flav[hit & (pt > 0)] = fl
    s = JES * np.clip(1 + JER * rng.standard_normal(pt.shape), 0.5, 1.5)  # calibration + smearing
    pt, m = pt * s, m * s
    if lists:
        pt, eta, phi, m = (rounded(v) for v in (pt, eta, phi, m))
    ok = (pt > (OTHER_PT if lists else PTMIN)) & (np.abs(eta) < ETAMAX)
    key = np.where(ok, pt, 0)
    o = np.argsort(-key, 1, kind="stable")
    pt, eta, phi, m, flav, key = (np.take_along_axis(v, o, 1) for v in (pt, eta, phi, m, flav, key))
    good = key > PTMIN
    nj = good.sum(1)
    z = lambda v: np.where(good, v, 0)[:, :NJMAX]
    every = [np.where(key > 0, v, 0)[:, :NJLIST] for v in (pt, eta, phi, m, flav)]
    return (z(pt), z(eta), z(phi), z(m), z(flav).astype(int), nj), every if lists else None


PAIRINGS = (((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2)))


def analyse(pt, eta, phi, m, flav, nj, pre, rng):
    """Tag, select HC jets, pair, compute features. Returns (dict of columns, index of kept events, cuts)."""
    cut = {"in": len(pt)}
    valid = pt > 0
    prob = np.select([flav == 5, flav == 4], [EFF[5], EFF[4]], EFF[0])
    prob = np.where(pre[:, None] & (flav == 5), 1.0, prob)  # tag was pre-drawn
    tag = (rng.random(pt.shape) < prob) & valid
    ntag = tag.sum(1)
    c1 = nj >= 4
    c2 = c1 & (ntag >= 2)
    cut["nj>=4"] = int(c1.sum())
    cut["ntag>=2"] = int(c2.sum())
    idx = np.flatnonzero(c2)
    pt, eta, phi, m, flav, nj, tag, ntag = (v[idx] for v in (pt, eta, phi, m, flav, nj, tag, ntag))
    # HC jets: tagged by pT first, then leading untagged
    o = np.argsort(~tag * 1000 + (pt == 0) * 5000 + np.arange(pt.shape[1]), 1, kind="stable")[:, :4]
    o = np.sort(o, 1)  # back to pT order
    g = lambda v: np.take_along_axis(v, o, 1)
    jpt, jeta, jphi, jm, jf, jt = g(pt), g(eta), g(phi), g(m), g(flav), g(tag)
    V = fourvec(jpt, jeta, jphi, jm)
    n = len(idx)
    ar = np.arange(n)
    dR = lambda i, j: np.hypot(jeta[:, i] - jeta[:, j], dphi(jphi[:, i], jphi[:, j]))
    # min-dR pairing: the pairing whose higher-pT pair has the smallest dR
    (lead_dr,) = np.zeros((1, 3, n))
    for k, (a, b) in enumerate(PAIRINGS):
        pa = ptep(V[:, a[0]] + V[:, a[1]])[0]
        pb = ptep(V[:, b[0]] + V[:, b[1]])[0]
        lead_dr[k] = np.where(pa >= pb, dR(*a), dR(*b))
    best = lead_dr.argmin(0)
    PA = np.array([p[0] for p in PAIRINGS])[best]
    PB = np.array([p[1] for p in PAIRINGS])[best]
    sa = jpt[ar[:, None], PA].sum(1)
    sb = jpt[ar[:, None], PB].sum(1)
    sw = (sb > sa)[:, None]
    I1, I2 = np.where(sw, PB, PA), np.where(sw, PA, PB)  # H1: higher scalar-sum pT
    H1 = V[ar, I1[:, 0]] + V[ar, I1[:, 1]]
    H2 = V[ar, I2[:, 0]] + V[ar, I2[:, 1]]
    HH = H1 + H2
    m1, m2, mhh = mass(H1), mass(H2), mass(HH)
    p1, e1, f1 = ptep(H1)
    p2, e2, f2 = ptep(H2)
    phh = ptep(HH)[0]
    # dR features of the HC jets: closest pair, and the two remaining jets
    alldr = np.stack([dR(i, j) for i, j in ((0, 1), (2, 3), (0, 2), (1, 3), (0, 3), (1, 2))])
    c = alldr.argmin(0)
    dr1, dr2 = alldr[c, ar], alldr[c ^ 1, ar]
    # X_Wt: W from any two jets, top = W + another HC jet (all jets with pT>40, at most NJMAX)
    A = fourvec(pt, eta, phi, m)
    vv = pt > 0
    xwt2 = np.full(n, 1e9)
    for i in range(NJMAX):
        for j in range(i + 1, NJMAX):
            okp = vv[:, i] & vv[:, j]
            s = np.flatnonzero(okp)
            if not len(s):
                continue
            W = A[s, i] + A[s, j]
            mw = np.maximum(mass(W), 1e-3)
            xw = ((mw - 80.4) / (0.1 * mw)) ** 2
            for k in range(4):
                use = (o[s, k] != i) & (o[s, k] != j)
                mt = np.maximum(mass(W + V[s, k]), 1e-3)
                x = xw + ((mt - 172.5) / (0.1 * mt)) ** 2
                xwt2[s] = np.where(use, np.minimum(xwt2[s], x), xwt2[s])
    # toy trigger bucket: 1 = 2b1j-like (lead jet>170, 3rd jet>70), 0 = 2b2j-like
    buck = ((pt[:, 0] > 170) & (pt[:, 2] > 70)).astype(np.uint8)
    deta, dph = np.abs(e1 - e2), np.abs(dphi(f1, f2))
    pi = lambda I: np.abs(dphi(jphi[ar, I[:, 0]], jphi[ar, I[:, 1]]))
    col = {
        "log_pt2": np.log(jpt[:, 1]),
        "log_pt4": np.log(jpt[:, 3]),
        "log_dr1": np.log(dr1),
        "log_dr2": np.log(dr2),
        "avg_abs_eta": np.abs(jeta).mean(1),
        "log_pt_hh": np.log(np.maximum(phh, 1e-2)),
        "dr_hh": np.hypot(deta, dph),
        "dphi_h1": pi(I1),
        "dphi_h2": pi(I2),
        "x_wt": np.sqrt(xwt2),
        "m_h1": m1,
        "m_h2": m2,
        "pt_h1": p1,
        "pt_h2": p2,
        "eta_h1": e1,
        "eta_h2": e2,
        "phi_h1": f1,
        "phi_h2": f2,
        "m_hh": mhh,
        "deta_hh": deta,
        "dphi_hh": dph,
        "x_hh": np.hypot(
            (m1 - 124) / (0.1 * np.maximum(m1, 1e-3)), (m2 - 117) / (0.1 * np.maximum(m2, 1e-3))
        ),
    }
    for k in range(4):
        for nm, v in (("pt", jpt), ("eta", jeta), ("phi", jphi), ("m", jm)):
            col[f"j{k + 1}_{nm}"] = v[:, k]
    col = {k: v.astype(np.float32) for k, v in col.items()}
    # places of the candidates' jets, and of the tagged ones, among all jets
    col["h1_jets"], col["h2_jets"] = (np.take_along_axis(o, I, 1) for I in (I1, I2))
    col["tags"] = tag
    for k in range(4):
        col[f"j{k + 1}_is_tagged"] = jt[:, k].astype(np.uint8)
        col[f"j{k + 1}_flav"] = jf[:, k].astype(np.uint8)
    inh1 = np.zeros((n, 4), np.uint8)
    inh1[ar[:, None], I1] = 1
    for k in range(4):
        col[f"j{k + 1}_in_h1"] = inh1[:, k]
    col["n_btag"] = ntag.astype(np.uint8)
    col["n_jets"] = nj.astype(np.uint8)
    col["trig_bucket"] = buck
    col["year"] = rng.choice(np.array([2016, 2017, 2018], np.uint16), n, p=[0.26, 0.31, 0.43])
    return col, idx, cut


# Columns of the sample with jets, beside the lists.
KEPT = ["log_pt2", "log_pt4", "log_dr1", "log_dr2", "avg_abs_eta", "log_pt_hh", "dr_hh", "dphi_h1",
        "dphi_h2", "x_wt", "m_h1", "m_h2", "m_hh", "n_btag", "n_jets", "trig_bucket", "year",
        "event_id", "heavy4"]  # fmt: skip


def with_lists(pa, columns):
    """A table of the columns; jets as lists, padding left out."""
    n = len(columns["event_id"])
    there = columns["jet_pt"] > 0
    ends = np.concatenate([[0], np.cumsum(there.sum(1))]).astype(np.int32)
    kinds = {"jet_tag": bool, "jet_flav": np.uint8}
    made = {}
    for name in ("jet_pt", "jet_eta", "jet_phi", "jet_m", "jet_tag", "jet_flav"):
        flat = columns[name][there].astype(kinds.get(name, np.float32))
        made[name] = pa.ListArray.from_arrays(pa.array(ends), pa.array(flat))
    for name in ("h1_jets", "h2_jets"):
        flat = pa.array(columns[name].astype(np.uint8).reshape(2 * n))
        made[name] = pa.FixedSizeListArray.from_arrays(flat, 2)
    return pa.table(made | {name: columns[name] for name in KEPT})


def gen(a):
    """Run one stream; a STOP_<stream> file in --out ends it early."""
    import awkward as ak
    import fastjet
    import pyarrow as pa
    import pyarrow.parquet as pq
    import pythia8mc

    rng = np.random.default_rng(a.seed)
    t0 = time.time()
    c0 = time.process_time()
    runs = [(None, 1.0)] if a.stream != "hh" else list(zip(HH_MASS, HH_FRAC))
    tot = {
        "stream": a.stream,
        "seed": a.seed,
        "tried": 0,
        "kept_by_hook": 0,
        "batches": 0,
        "batch_fail": 0,
    }
    buf, nbuf, part, nsel, counter = [], 0, 0, 0, 0
    os.makedirs(f"{a.out}/parts", exist_ok=True)

    def flush():
        nonlocal buf, nbuf, part
        if buf:
            d = {k: np.concatenate([x[k] for x in buf]) for k in buf[0]}
            f = f"{a.out}/parts/{a.stream}_{a.seed}_{part}.parquet"
            t = with_lists(pa, d) if a.jets else pa.table(d)
            pq.write_table(t, f + ".tmp", compression="zstd")
            os.replace(f + ".tmp", f)
            part += 1
            buf, nbuf = [], 0
        tot["wall_s"] = time.time() - t0
        tot["cpu_s"] = time.process_time() - c0
        tot["selected"] = nsel
        json.dump(tot, open(f"{a.out}/parts/{a.stream}_{a.seed}.json", "w"), indent=1)

    for im, (mX, frac) in enumerate(runs):
        hook = make_hook(pythia8mc, a.stream, rng, not a.jets)
        py = make_pythia(pythia8mc, a.stream, a.seed + 1000 * im, mX, hook, a.xml)
        goal = a.target * frac
        got = 0
        tr0 = tk0 = 0
        while (
            got < goal
            and time.time() - t0 < 60 * a.minutes
            and not os.path.exists(f"{a.out}/STOP_{a.stream}")
        ):
            b = py.nextBatch(a.batch)
            key = ak.to_numpy(b.prt.p.pz[:, 5])
            fl = [hook.flags.get(k) for k in key]
            hook.flags.clear()
            known = np.array([x is not None for x in fl])
            if not known.all():
                tot["batch_fail"] += int((~known).sum())
                b = b[known]
                fl = [x for x in fl if x is not None]
            pre = np.array([x[0] for x in fl])
            heavy = np.array([x[1] for x in fl])
            r, every = cluster(ak, fastjet, b, rng, a.jets)
            col, idx, cut = analyse(*r, pre, rng)
            k = (col["m_h1"] > 50) & (col["m_h1"] < 200) & (col["m_h2"] > 50) & (col["m_h2"] < 200)
            tags = col.pop("tags")
            if a.jets:
                k = col["n_btag"] >= 3
                for name, v in zip(("pt", "eta", "phi", "m", "flav"), every):
                    col[f"jet_{name}"] = v[idx]
                col["jet_tag"] = np.zeros(col["jet_pt"].shape, bool)
                col["jet_tag"][:, :NJMAX] = tags
            else:
                del col["h1_jets"], col["h2_jets"]
            if a.stream in ("hh", "qcdheavy"):
                k &= col["n_btag"] >= 4
            cut["plane"] = int(k.sum())
            for c, v in cut.items():
                tot["cut_" + c] = tot.get("cut_" + c, 0) + v
            for nt in (2, 3, 4):
                mk = (col["n_btag"] == nt) if nt < 4 else col["n_btag"] >= 4
                tot[f"n_{nt}b"] = tot.get(f"n_{nt}b", 0) + int((mk & k).sum())
            col["heavy4"] = heavy[idx].astype(np.uint8)  # >=4 b/c quarks in the shower at 15 GeV
            if mX:
                col["m_x"] = np.full(len(idx), mX, np.float32)
            col["event_id"] = (
                (np.uint64(a.seed) << np.uint64(32)) + np.uint64(counter) + idx.astype(np.uint64)
            )
            counter += len(b)
            col = {n: v[k] for n, v in col.items()}
            buf.append(col)
            nbuf += int(k.sum())
            got += int(k.sum())
            nsel += int(k.sum())
            tot["batches"] += 1
            tot["tried"] += hook.tried - tr0
            tr0 = hook.tried
            tot["kept_by_hook"] += hook.kept - tk0
            tk0 = hook.kept
            if nbuf >= a.chunk:
                flush()
    flush()
    print(json.dumps(tot), flush=True)


def merge(a):
    """Shuffle the parts of all streams and seeds into one file a sample."""
    import glob

    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    os.makedirs(f"{a.out}/out", exist_ok=True)

    def load(st):
        fs = sorted(glob.glob(f"{a.out}/parts/{st}_[0-9]*.parquet"))
        return pa.concat_tables([pq.read_table(f) for f in fs]) if fs else None

    rep0 = {}
    for f in sorted(glob.glob(f"{a.out}/parts/*.json")):
        j = json.load(open(f))
        t = rep0.setdefault(j.pop("stream"), {})
        t["seeds"] = t.get("seeds", []) + [j.pop("seed")]
        for k, v in j.items():
            t[k] = round(t.get(k, 0) + v, 1)
    A, B = load("qcd"), load("qcdheavy")
    # source: 0 natural run, 1 g->bb enhanced run, 2 natural run with the first filter settings
    src = np.where((A["event_id"].to_numpy() >> np.uint64(32)) == 11, 2, 0).astype(np.uint8)
    A = A.append_column("source", pa.array(src))
    # 3: g->bb enhanced run with the first filter settings
    if B is not None:
        srcB = np.where((B["event_id"].to_numpy() >> np.uint64(32)) == 301, 3, 1).astype(np.uint8)
        B = B.append_column("source", pa.array(srcB))
    rng = np.random.default_rng(7)
    rep = {"counters": rep0}
    if a.jets:
        rows = lambda t: t.take(pa.array(rng.permutation(len(t))))
        ge4 = lambda t: t.filter(pc.greater_equal(t["n_btag"], pa.scalar(4, pa.uint8())))
        both = [A] + ([B] if B is not None else [])
        classes = {
            "jets_3b": A.filter(pc.equal(A["n_btag"], pa.scalar(3, pa.uint8()))),
            "jets_4b": pa.concat_tables([ge4(t) for t in both]),
        }
        for name, t in classes.items():
            t = rows(t)
            t = t.slice(0, min(len(t), a.events)) if a.events else t
            t = t.append_column("weight", pa.array(np.ones(len(t), np.float32)))
            f = f"{a.out}/out/{name}.parquet"
            pq.write_table(t, f, compression="zstd", compression_level=19, row_group_size=131072)
            rep[name] = {"rows": len(t), "bytes": os.path.getsize(f)}
        json.dump(rep, open(f"{a.out}/out/merge_report.json", "w"), indent=1)
        print(json.dumps(rep, indent=1))
        return

    def write(name, t):
        t = t.take(pa.array(rng.permutation(len(t))))
        t = t.append_column("weight", pa.array(np.ones(len(t), np.float32)))
        f = f"{a.out}/out/{name}.parquet"
        pq.write_table(t, f, compression="zstd", compression_level=9, row_group_size=131072)
        rep[name] = {"rows": len(t), "bytes": os.path.getsize(f)}

    eq = lambda t, n: t.filter(pc.equal(t["n_btag"], pa.scalar(n, pa.uint8())))
    ge4 = lambda t: t.filter(pc.greater_equal(t["n_btag"], pa.scalar(4, pa.uint8())))
    write("qcd_2b", eq(A, 2))
    write("qcd_3b", eq(A, 3))
    write("qcd_4b", pa.concat_tables([ge4(A)] + ([ge4(B)] if B is not None else [])))
    rep["4b_natural"] = len(ge4(A))
    for st, nm in (("hh", "hh_4b"), ("ttbar", "ttbar")):
        T = load(st)
        if T is not None:
            write(nm, T)
    json.dump(rep, open(f"{a.out}/out/merge_report.json", "w"), indent=1)
    print(json.dumps(rep, indent=1))


if __name__ == "__main__":
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("cmd", choices=["gen", "merge"])
    ap.add_argument("--stream", choices=["qcd", "qcdheavy", "hh", "ttbar"], default="qcd")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--target", type=int, default=10**9, help="selected events wanted")
    ap.add_argument("--minutes", type=float, default=10)
    ap.add_argument("--batch", type=int, default=500)
    ap.add_argument("--chunk", type=int, default=10000, help="rows per part file")
    ap.add_argument(
        "--xml", default="", help="Pythia8 xmldoc folder (default: the one of the wheel)"
    )
    ap.add_argument("--jets", action="store_true", help="keep all jets, as lists")
    ap.add_argument("--events", type=int, default=0, help="merge --jets: most events a class")
    ap.add_argument("--out", default=".")
    a = ap.parse_args()
    {"gen": gen, "merge": merge}[a.cmd](a)
