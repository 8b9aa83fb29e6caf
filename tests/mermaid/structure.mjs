// Reads flowcharts as real Mermaid reads them. In: a JSON array of texts on stdin. Out: a JSON array with, for each,
// its vertices, edges and subgraphs, or why Mermaid refuses it.
import { readFileSync } from 'node:fs';
import { JSDOM } from 'jsdom';

const { window } = new JSDOM('<!doctype html><body></body>');
globalThis.window = window;
globalThis.document = window.document;
const { default: mermaid } = await import('mermaid');
mermaid.initialize({ startOnLoad: false });

// Mermaid writes `#35;` as `ﬂ°°35¶ß` until it draws, and Mermaid or the browser turns it back.
const decoded = (text) =>
  text
    .replace(/<br ?\/?>/g, '\n')
    .replace(/ﬂ°°(\d+)¶ß/g, (_, code) => String.fromCodePoint(Number(code)));

async function structure(text) {
  try {
    await mermaid.parse(text);
    const { db } = await mermaid.mermaidAPI.getDiagramFromText(text);
    const subgraphs = db.getSubGraphs();
    const ids = new Set(subgraphs.map((s) => s.id));
    return {
      // An edge to a subgraph makes a vertex of that name, which Mermaid does not draw.
      vertices: [...db.getVertices().values()]
        .filter((v) => !ids.has(v.id))
        .map((v) => ({ id: v.id, label: decoded(v.text), shape: v.type, classes: v.classes })),
      edges: db.getEdges().map((e) => ({
        from: e.start, to: e.end, label: decoded(e.text), stroke: e.stroke, arrow: e.type,
      })),
      subgraphs: subgraphs
        .map((s) => ({ id: s.id, label: decoded(s.title), nodes: s.nodes })),
      direction: db.getDirection(),
    };
  } catch (error) {
    return { error: String(error) };
  }
}

const out = [];
for (const text of JSON.parse(readFileSync(0, 'utf8'))) {
  out.push(await structure(text));
}
process.stdout.write(JSON.stringify(out));
