"use strict";
// Below every table: two buttons that copy it, as CSV and as LaTeX.
(() => {
  const math = { "±": "\\pm", "−": "-", "×": "\\times", "≤": "\\leq", "≥": "\\geq", "²": "^2",
    "∞": "\\infty", "χ": "\\chi", "σ": "\\sigma", "μ": "\\mu", "Δ": "\\Delta", "√": "\\surd" };
  const own = { "\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}" };
  const plain = (text) => [...text].map((c) => own[c] || (math[c] && `$${math[c]}$`)
    || (c === "–" ? "--" : "&%$#_{}".includes(c) ? "\\" + c : c)).join("");
  const latex = (cell) => [...cell.childNodes].map((part) => {
    const text = plain(part.textContent);
    return { SUB: `$_{\\mathrm{${text}}}$`, SUP: `$^{${text}}$` }[part.nodeName] || text;
  }).join("");
  const csv = (cell) => {
    const parts = [...cell.childNodes].map((part) =>
      ({ SUB: "_", SUP: "^" }[part.nodeName] || "") + part.textContent);
    const text = parts.join("").replaceAll("−", "-");
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const rows = (table, cell) => [...table.rows].map((row) => [...row.cells].map(cell));
  const forms = {
    CSV: (table) => rows(table, csv).map((row) => row.join(",")).join("\n") + "\n",
    LaTeX: (table) => {
      const lines = rows(table, latex).map((row) => row.join(" & ") + " \\\\");
      const last = table.rows[table.rows.length - 1];
      const columns = [...(last ? last.cells : [])].map((cell) =>
        cell.classList.contains("number") ? "r" : "l");
      if (table.tHead) lines.splice(1, 0, "\\hline");
      return ["\\begin{tabular}{" + columns.join(" ") + "}", "\\hline", ...lines, "\\hline",
        "\\end{tabular}", ""].join("\n");
    },
  };
  // pages opened as files have no other clipboard everywhere
  const copy = (text) => {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done;
  };
  for (const box of document.querySelectorAll(".table")) {
    const line = document.createElement("p");
    line.className = "copy";
    for (const [name, form] of Object.entries(forms)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `copy as ${name}`;
      button.onclick = () => {
        const done = copy(form(box.querySelector("table")));
        button.textContent = done ? "copied" : "not copied";
        setTimeout(() => { button.textContent = `copy as ${name}`; }, 1500);
      };
      line.append(button);
    }
    box.after(line);
  }
})();
