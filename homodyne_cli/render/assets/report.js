"use strict";
// Draws the figures of a report from the page's JSON. Everything that is read is on the page.
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const colours = ["#3b82c4", "#d9772b", "#4c9f50", "#b55ec0", "#c9a227", "#26a5a5"];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let printing = false;

  const diverging = [[0, "#2166ac"], [0.25, "#92c5de"], [0.5, "#f7f7f7"], [0.75, "#f4a582"], [1, "#b2182b"]];
  const types = { f4: Float32Array, u2: Uint16Array };
  function unpack(packed) {
    const bytes = Uint8Array.from(atob(packed.bdata), (c) => c.charCodeAt(0));
    const values = new types[packed.dtype](bytes.buffer);
    if (packed.dtype === "f4") return Array.from(values, (v) => (Number.isNaN(v) ? null : v));
    return Array.from(values, (k) => (k === 65535 ? null : packed.low + packed.step * k));
  }
  // The upper triangle, diagonal included, row by row.
  function square(packed, side) {
    const values = unpack(packed);
    const rows = Array.from({ length: side }, () => new Array(side).fill(null));
    let k = 0;
    for (let i = 0; i < side; i++)
      for (let j = i; j < side; j++, k++) rows[i][j] = rows[j][i] = values[k];
    return rows;
  }
  // Plotly reads some HTML in its texts.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  function axis(title, more) {
    const light = printing || !dark.matches;
    const line = light ? "#d1d9e0" : "#3d444d";
    return { title: { text: title }, automargin: true, gridcolor: line, zerolinecolor: line,
             exponentformat: "power", ...more };
  }
  function layout(title, x, y, more) {
    const light = printing || !dark.matches;
    return { title: { text: title, font: { size: 14 }, x: 0, xanchor: "left", xref: "container", pad: { l: 8 } }, font: { color: light ? "#1f2328" : "#e6edf3", size: 12 },
             paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", xaxis: x, yaxis: y,
             margin: { l: 50, r: 34, t: 40, b: 45 }, legend: { traceorder: "normal", y: 1, yanchor: "top", x: 1, xanchor: "right", bgcolor: "rgba(128,128,128,0.15)" },
             modebar: { orientation: "v", bgcolor: "rgba(0,0,0,0)", color: "rgba(128,128,128,0.6)", activecolor: "#4493f8" },
             showlegend: false, ...more };
  }
  const band = (colour) => colour + "40";

  function curve(runs, wanted) {
    const traces = [];
    const drawn = runs.map((run) => [run, run.curves.find((c) => c.name === wanted.name)]).filter(([, one]) => one);
    // A curve that is not positive has no place on a logarithmic axis.
    const log = drawn.every(([, one]) => one.log);
    drawn.forEach(([run, one]) => {
      const x = unpack(run.t), y = unpack(one.value), s = unpack(one.sigma);
      const colour = colours[report.runs.indexOf(run) % colours.length];
      const ok = (v) => (!log || v > 0 ? v : null);
      traces.push({ x, y: y.map((v, k) => ok(v - s[k])), mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false });
      traces.push({ x, y: y.map((v, k) => ok(v + s[k])), mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: band(colour), hoverinfo: "skip", showlegend: false });
      traces.push({ x, y: y.map(ok), customdata: s, mode: "lines", line: { color: colour }, name: plain(run.name),
                    hovertemplate: "%{x:.4g} s: %{y:.4g} ± %{customdata:.2g}<extra></extra>" });
    });
    const kind = log ? "log" : "linear";
    return [traces, layout(wanted.title, axis("time (s)", { type: kind }), axis(wanted.label, { type: kind }), { showlegend: runs.length > 1 })];
  }
  const plots = {
    curve: (d) => curve([report.runs[d.run]], report.runs[d.run].curves[d.index]),
    curves: (d) => curve(report.runs, report.runs[d.run].curves[d.index]),
    correlation(d) {
      const c = report.runs[d.run].correlation;
      return [[{ type: "heatmap", x: c.names, y: c.names, z: c.matrix, zmin: -1, zmax: 1, colorscale: diverging,
                 texttemplate: "%{z:.2f}", hovertemplate: "%{y}, %{x}: %{z:.4f}<extra></extra>", colorbar: { thickness: 12, title: { text: "correlation", side: "right" } } }],
              layout("Correlation of the parameters", axis("", { tickangle: -40 }), axis("", { autorange: "reversed" }))];
    },
    scaling(d) {
      const run = report.runs[d.run], s = run.scaling[d.index];
      return [[{ x: run.phi, y: s.value, error_y: { type: "data", array: s.sigma }, mode: "markers", marker: { color: colours[0] },
                 hovertemplate: "%{x:.2f}°: %{y:.5g}<extra></extra>" }],
              layout(s.title, axis("phi (°)"), axis(s.name))];
    },
    map(d) {
      const run = report.runs[d.run], m = run.maps, a = m.angles[d.angle];
      const grid = d.kind === "baseline" ? m.baseline : m;
      const t = Array.from({ length: grid.side }, (_, k) => grid.first + k * grid.step);
      const shown = { data: ["Data", "c2", "Viridis", m.low, m.high], fit: ["Fit", "c2", "Viridis", m.low, m.high],
                      residual: ["(Data − fit) / noise" + m.averaged, "noise", diverging, -m.reach, m.reach],
                      baseline: ["Near the baseline" + m.baseline.averaged, "% of contrast", diverging, -m.lobes, m.lobes] }[d.kind];
      const z = square(a[d.kind], grid.side);
      return [[{ type: "heatmap", x: t, y: t, z, zmin: shown[3], zmax: shown[4], colorscale: shown[2], zsmooth: false,
                 hovertemplate: "t1 %{y:.4g} s, t2 %{x:.4g} s: %{z:.4g}<extra></extra>", colorbar: { thickness: 12, title: { text: shown[1], side: "right" } } }],
              layout(shown[0] + ", " + run.place[d.angle], axis("t2 (s)", { constrain: "domain" }), axis("t1 (s)", { scaleanchor: "x", constrain: "domain" }))];
    },
    profile(d) {
      const run = report.runs[d.run], p = run.profiles.angles[d.angle];
      const x = unpack(run.profiles.lag), y = unpack(p.data), f = unpack(p.fit), e = unpack(p.error);
      const at = ", " + run.place[d.angle], lag = axis("lag (s)", { type: "log" });
      if (d.kind === "pull")
        return [[{ x, y: y.map((v, k) => (v === null ? null : (v - f[k]) / e[k])), mode: "lines+markers", marker: { size: 4, color: colours[0] },
                   hovertemplate: "%{x:.4g} s: %{y:.3g}<extra></extra>" }],
                layout("Mean over ages, data − fit" + at, lag, axis("standard errors of white noise"))];
      return [[{ x, y, error_y: { type: "data", array: e, thickness: 1 }, mode: "markers", marker: { size: 4, color: colours[0] }, name: "data",
                 hovertemplate: "%{x:.4g} s: %{y:.6g}<extra>data</extra>" },
               { x, y: f, mode: "lines", line: { color: colours[1] }, name: "fit", hovertemplate: "%{x:.4g} s: %{y:.6g}<extra>fit</extra>" }],
              layout("Mean over ages" + at, lag, axis("c2"), { showlegend: true })];
    },
    points(d) {
      const p = report.runs[d.run].points[d.index], traces = [];
      p.series.forEach((s, k) => {
        const colour = colours[k], own = { x: s.x, y: s.y, customdata: s.sigma || undefined, name: s.name,
          hovertemplate: s.sigma ? "%{x:.4g}: %{y:.4g} ± %{customdata:.2g}<extra></extra>" : "%{x:.4g}: %{y:.4g}<extra></extra>" };
        if (s.kind !== "band") {
          traces.push({ ...own, error_y: s.sigma ? { type: "data", array: s.sigma } : undefined, mode: "markers", marker: { color: colour, size: s.sigma ? 7 : 4 } });
          return;
        }
        const edge = (sign) => s.y.map((v, i) => (v === null || s.sigma[i] === null ? null : v + sign * s.sigma[i]));
        traces.push({ x: s.x, y: edge(-1), mode: "lines", line: { width: 0 }, hoverinfo: "skip", showlegend: false });
        traces.push({ x: s.x, y: edge(1), mode: "lines", line: { width: 0 }, fill: "tonexty", fillcolor: band(colour), hoverinfo: "skip", showlegend: false });
        traces.push({ ...own, mode: "lines", line: { color: colour } });
      });
      const shapes = p.level === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: p.level, y1: p.level, line: { color: "#888888", width: 1, dash: "dot" } }];
      return [traces, layout(p.title, axis(p.xlabel, p.ticks && { tickvals: p.ticks }), axis(p.ylabel), { showlegend: p.series.length > 1, shapes })];
    },
    history(d) {
      const h = report.runs[d.run].history;
      return [[{ x: h.iteration, y: h.chi2, mode: "lines+markers", line: { color: colours[0] }, name: "chi2 above its end + 1" },
               { x: h.iteration, y: h.edm, mode: "lines+markers", line: { color: colours[1] }, name: "EDM" }],
              layout("Convergence", axis("iteration"), axis("", { type: "log" }), { showlegend: true })];
    },
  };

  const settings = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["select2d", "lasso2d", "zoom2d", "pan2d", "autoScale2d"] };
  function draw(place) {
    const [traces, how] = plots[place.dataset.plot]({
      run: Number(place.dataset.run), index: Number(place.dataset.index), kind: place.dataset.kind, angle: Number(place.dataset.angle || 0) });
    return Plotly.react(place, traces, how, settings);
  }
  const places = Array.from(document.querySelectorAll(".plot"));
  const drawAll = () => places.forEach(draw);

  // Arrows move, + and - zoom, 0 shows all.
  function onKey(event) {
    const place = event.currentTarget, full = place._fullLayout;
    const move = { ArrowLeft: [-0.2, 0], ArrowRight: [0.2, 0], ArrowDown: [0, -0.2], ArrowUp: [0, 0.2] }[event.key];
    const zoom = { "+": 0.7, "=": 0.7, "-": 1 / 0.7 }[event.key];
    if (event.key === "0") Plotly.relayout(place, { "xaxis.autorange": true, "yaxis.autorange": place.dataset.plot === "correlation" ? "reversed" : true });
    else if (move || zoom) {
      const change = {};
      ["xaxis", "yaxis"].forEach((name, k) => {
        const [low, high] = full[name].range, width = high - low, middle = (low + high) / 2 + (move ? move[k] * width : 0);
        change[name + ".range"] = [middle - (width / 2) * (zoom || 1), middle + (width / 2) * (zoom || 1)];
      });
      Plotly.relayout(place, change);
    } else return;
    event.preventDefault();
  }
  places.forEach((place) => place.addEventListener("keydown", onKey));

  document.querySelectorAll("select[data-run]").forEach((choice) => {
    const run = report.runs[choice.dataset.run];
    const show = () => document.querySelectorAll('[data-angle][data-run="' + choice.dataset.run + '"]').forEach((place) => {
      place.dataset.angle = choice.value;
      const angles = (place.dataset.plot === "map" ? run.maps : run.profiles).angles;
      const text = angles[choice.value].text[place.dataset.kind];
      place.setAttribute("aria-label", text);
      place.parentElement.querySelector("figcaption").textContent = text;
      draw(place);
    });
    choice.addEventListener("change", show);
  });

  drawAll();
  dark.addEventListener("change", drawAll);
  addEventListener("beforeprint", () => { printing = true; drawAll(); });
  addEventListener("afterprint", () => { printing = false; drawAll(); });
  document.documentElement.dataset.drawn = String(places.length);
})();
