//! The page's style: system font, one column, figures in a grid, light and dark.

/// The stylesheet, inlined into every page.
pub(super) const CSS: &str = "
:root { color-scheme: light dark;
  --ground: #ffffff; --soft: #f5f6f8; --ink: #1b1e23; --pale: #5b626d; --rule: #d9dce2;
  --link: #2456c4; --good: #1a7f43; --warning: #a15c00; --bad: #c21f2f; --info: #2456c4; }
@media (prefers-color-scheme: dark) { :root {
  --ground: #15171b; --soft: #1f2228; --ink: #e7e9ed; --pale: #a3aab5; --rule: #363b44;
  --link: #8db4ff; --good: #5cc98a; --warning: #f0b04a; --bad: #ff7b82; --info: #8db4ff; } }
* { box-sizing: border-box; }
html { scroll-padding-top: 3.5rem; }
body { margin: 0 auto; padding: 0 1.5rem 3rem; max-width: 1200px; background: var(--ground);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue',
  Arial, sans-serif; overflow-wrap: break-word; }
header { padding: 2.2rem 0 0.6rem; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.01em; }
h2 { margin: 2.6rem 0 0.7rem; padding-bottom: 0.3rem; font-size: 1.3rem;
  border-bottom: 1px solid var(--rule); }
p { margin: 0.6rem 0; max-width: 75ch; }
.subtitle { margin: 0.35rem 0 0; color: var(--pale); font-size: 1.05rem; }
.verdict { margin: 1rem 0 1.4rem; display: grid; gap: 0.5rem; }
.verdict p { --tone: var(--info); margin: 0; padding: 0.6rem 0.9rem; max-width: none; display: flex;
  gap: 0.9rem; align-items: baseline; border-radius: 6px; border-left: 5px solid var(--tone);
  background: color-mix(in srgb, var(--tone) 10%, var(--ground)); }
.verdict .good { --tone: var(--good); }
.verdict .warning { --tone: var(--warning); }
.verdict .bad { --tone: var(--bad); }
.status { flex: 0 0 5.2rem; font-weight: 700; color: var(--tone); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr));
  gap: 0.7rem 1.5rem; margin: 1.2rem 0; padding: 0.9rem 1.1rem; border-radius: 6px;
  background: var(--soft); }
.facts dt { color: var(--pale); font-size: 0.82rem; }
.facts dd { margin: 0; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
nav { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: 0.2rem 1.3rem;
  padding: 0.6rem 0; background: var(--ground); border-bottom: 1px solid var(--rule); }
sub, sup { font-size: 0.72em; line-height: 0; }
a { color: var(--link); text-decoration: none; }
a:hover { text-decoration: underline; }
.table { overflow-x: auto; margin: 1.1rem 0; }
table { border-collapse: collapse; font-size: 0.93rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.4rem; color: var(--pale); }
th, td { padding: 0.32rem 0.9rem; text-align: left; vertical-align: top; }
th:first-child, td:first-child { padding-left: 0.4rem; }
thead th { border-top: 1.5px solid var(--ink); border-bottom: 1px solid var(--ink); }
tbody tr:last-child td { border-bottom: 1.5px solid var(--ink); }
tbody tr:nth-child(even) { background: var(--soft); }
.number { text-align: right; white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr));
  gap: 1.2rem; margin: 1.2rem 0; align-items: start; }
.figures.single { max-width: 680px; grid-template-columns: 1fr; }
figure { margin: 0; padding: 0.5rem; border: 1px solid var(--rule); border-radius: 6px; }
.drawing { background: #ffffff; border-radius: 3px; }
.drawing svg { display: block; width: 100%; height: auto; }
figcaption { padding: 0.5rem 0.4rem 0.2rem; font-size: 0.88rem; color: var(--pale); }
footer { margin-top: 3rem; padding-top: 0.8rem; border-top: 1px solid var(--rule);
  color: var(--pale); font-size: 0.85rem; }
footer p { margin: 0.2rem 0; max-width: none; }
@media print {
  :root { color-scheme: light; --ground: #ffffff; --soft: #f5f6f8; --ink: #000000; --pale: #444444;
    --rule: #bbbbbb; --link: #000000; --good: #1a7f43; --warning: #a15c00; --bad: #c21f2f;
    --info: #2456c4; }
  body { max-width: none; padding: 0; font-size: 10.5pt; print-color-adjust: exact;
    -webkit-print-color-adjust: exact; }
  nav { display: none; }
  .figures { grid-template-columns: 1fr 1fr; }
  figure, .verdict p, tr { break-inside: avoid; }
  h2 { break-after: avoid; }
}
";
