"use strict";
// The upload page: sends each photo to the localize mutation and shows the whole answer.

const QUERY = `mutation Localize($photo: Upload!) {
  localize(photo: $photo) {
    id
    releaseId
    location { latitude longitude }
    confidence
    within { kilometres name probability }
    candidates(first: 8) { rank token location { latitude longitude } probability path { level token probability } }
    levels { level token probability }
    credibleRegion { mass tokens geojson }
    references { likeness distanceKilometres image { id location { latitude longitude } capturedAt thumbnailUrl } }
    scene { name share }
    entropy
    outsideMass
    cannotTell
    timings { stage milliseconds }
  }
}`;
const SVG = "http://www.w3.org/2000/svg";
const SIDE_BY_SIDE = 2;

/** Makes an element; text is always set as text, never as markup. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function draw(tag, attributes, title) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (title) {
    const label = document.createElementNS(SVG, "title");
    label.textContent = title;
    node.append(label);
  }
  return node;
}

const degrees = (value, positive, negative) =>
  `${Math.abs(value).toFixed(3)}° ${value < 0 ? negative : positive}`;
const place = ({ latitude, longitude }) => `${degrees(latitude, "N", "S")}, ${degrees(longitude, "E", "W")}`;
function percent(value) {
  const rounded = value * 100;
  if (rounded > 0 && rounded < 0.1) return "< 0.1 %";
  return `${rounded.toFixed(rounded < 10 ? 1 : 0)} %`;
}
const distance = (kilometres) =>
  kilometres < 1 ? `${Math.round(kilometres * 1000)} m` : `${kilometres.toFixed(kilometres < 10 ? 1 : 0)} km`;

async function graphql(body) {
  let response;
  try {
    response = await fetch("/graphql", body);
  } catch {
    throw new Error("The service does not answer. Is it still running?");
  }
  const answer = await response.json().catch(() => null);
  if (!answer) throw new Error(`The service answered ${response.status} without a readable body.`);
  if (answer.errors?.length) throw new Error(answer.errors[0].message);
  return answer.data;
}

function ask(query) {
  return graphql({
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ query }),
  });
}

function localize(file) {
  const form = new FormData();
  form.append("operations", JSON.stringify({ query: QUERY, variables: { photo: null } }));
  form.append("map", JSON.stringify({ photo: ["variables.photo"] }));
  form.append("photo", file, file.name);
  return graphql({ method: "POST", body: form }).then((data) => data.localize);
}

/** GeoJSON polygons as one SVG path, one unit a degree. */
function outline(geojson) {
  const parts = [];
  const ring = (points) => `M${points.map(([x, y]) => `${x.toFixed(3)} ${(-y).toFixed(3)}`).join("L")}Z`;
  const walk = (node) => {
    if (!node) return;
    if (node.type === "FeatureCollection") node.features.forEach(walk);
    else if (node.type === "Feature") walk(node.geometry);
    else if (node.type === "GeometryCollection") node.geometries.forEach(walk);
    else if (node.type === "Polygon") parts.push(...node.coordinates.map(ring));
    else if (node.type === "MultiPolygon") node.coordinates.flat().forEach((points) => parts.push(ring(points)));
  };
  walk(geojson);
  return parts.join("");
}

function world(prediction) {
  const svg = draw("svg", { class: "world", viewBox: "-180 -90 360 180", role: "img" });
  svg.append(draw("title", {}));
  svg.firstChild.textContent = `World sketch: the answer is at ${place(prediction.location)}`;
  svg.append(draw("image", { class: "land", href: "/land.svg", x: -180, y: -90, width: 360, height: 180 }));
  let grid = "";
  for (let x = -150; x < 180; x += 30) grid += `M${x} -90V90`;
  for (let y = -60; y < 90; y += 30) grid += `M-180 ${y}H180`;
  svg.append(draw("path", { class: "grid", d: grid }));
  const region = outline(prediction.credibleRegion?.geojson);
  if (region) svg.append(draw("path", { class: "region", d: region }, "Credible region"));
  for (const candidate of prediction.candidates) {
    const radius = 0.6 + 3 * Math.sqrt(candidate.probability);
    svg.append(draw(
      "circle",
      { class: "candidate", cx: candidate.location.longitude, cy: -candidate.location.latitude, r: radius },
      `Candidate ${candidate.rank}: ${percent(candidate.probability)}`,
    ));
  }
  for (const { image } of prediction.references) {
    svg.append(draw(
      "circle",
      { class: "reference", cx: image.location.longitude, cy: -image.location.latitude, r: 1.2 },
      `Reference image at ${place(image.location)}`,
    ));
  }
  const { latitude, longitude } = prediction.location;
  svg.append(draw("circle", { class: "answer-point", cx: longitude, cy: -latitude, r: 2.2 }, place(prediction.location)));
  return svg;
}

function meter(value, label) {
  return make("meter", { min: 0, max: 1, value, "aria-label": `${label}: ${percent(value)}` });
}

function table(caption, heads, rows) {
  const head = make("tr", {}, ...heads.map(([text, kind]) =>
    make("th", kind ? { class: kind, scope: "col" } : { scope: "col" }, text)));
  const body = rows.map((cells) =>
    make("tr", {}, ...cells.map((cell, index) =>
      make("td", heads[index][1] ? { class: heads[index][1] } : {}, ...[cell].flat()))));
  return make("section", {},
    make("h3", {}, caption),
    make("div", { class: "scroll" }, make("table", {}, make("thead", {}, head), make("tbody", {}, ...body))));
}

function show(prediction) {
  const parts = [];
  if (prediction.cannotTell) {
    parts.push(make("p", { class: "notice" }, make("strong", {}, "Cannot tell. "),
      `${prediction.cannotTell} The place below is only the best of many guesses.`));
  }
  parts.push(
    make("p", { class: "place" }, place(prediction.location)),
    make("p", { class: "lead" }, `Confidence ${percent(prediction.confidence)}. Release ${prediction.releaseId}.`),
    world(prediction),
    make("p", { class: "legend" },
      "Orange: the answer. Filled circles: candidates, larger when likelier. Rings: reference images. Shaded: " +
      `cells that together hold ${percent(prediction.credibleRegion?.mass ?? 0)} of the probability.`),
  );
  const own = prediction.candidates[0]?.path ?? [];
  const code = (text) => make("code", {}, text);
  const tables = make("div", { class: "columns" },
    table("How near is the answer?", [["Within"], ["", ""], ["Probability", "number"]],
      prediction.within.map(({ kilometres, name, probability }) =>
        [`${kilometres} km (${name})`, meter(probability, name), percent(probability)])),
    table("Level by level", [["Level"], ["Best cell"], ["Given the path", "number"], ["Alone", "number"]],
      prediction.levels.map(({ level, token, probability }, index) =>
        [String(level), code(token), percent(probability), percent(own[index]?.probability ?? 0)])),
    table("Candidates", [["#"], ["Place"], ["", ""], ["Probability", "number"]],
      prediction.candidates.map(({ rank, location, probability }) =>
        [String(rank), place(location), meter(probability, `Candidate ${rank}`), percent(probability)])),
    table("Time", [["Stage"], ["ms", "number"]],
      prediction.timings.map(({ stage, milliseconds }) => [stage, milliseconds.toFixed(1)])),
  );
  if (prediction.scene.length) {
    tables.append(table("What the photo shows", [["Class"], ["", ""], ["Share", "number"]],
      prediction.scene.slice(0, 6).map(({ name, share }) => [name, meter(share, name), percent(share)])));
  }
  parts.push(tables);
  if (prediction.references.length) {
    parts.push(make("h3", {}, "Reference photos that look alike"),
      make("ul", { class: "references" }, ...prediction.references.map(({ likeness, distanceKilometres, image }) =>
        make("li", {},
          make("img", { src: image.thumbnailUrl, alt: `Reference photo at ${place(image.location)}`, loading: "lazy" }),
          make("p", {}, `Likeness ${likeness.toFixed(3)}`),
          make("p", {}, `${distance(distanceKilometres)} from the answer`),
          make("p", {}, place(image.location))))));
  }
  parts.push(make("p", { class: "legend" },
    `Prediction ${prediction.id} · entropy ${prediction.entropy.toFixed(2)} nats · ` +
    `probability outside the candidates at most ${percent(prediction.outsideMass)}`));
  return parts;
}

const answers = document.getElementById("answers");
const status = document.getElementById("status");
const template = document.getElementById("answer");

function card(file) {
  const article = template.content.firstElementChild.cloneNode(true);
  const part = (name) => article.querySelector(`[data-part="${name}"]`);
  part("photo").src = URL.createObjectURL(file);
  part("photo").alt = `Your photo ${file.name}`;
  part("name").textContent = file.name;
  article.setAttribute("aria-label", file.name);
  answers.append(article);
  return part("body");
}

async function take(files) {
  answers.replaceChildren();
  const work = [...files].map((file) => ({ file, body: card(file) }));
  const total = work.length;
  let done = 0;
  let failed = 0;
  const next = async () => {
    for (let item = work.shift(); item; item = work.shift()) {
      try {
        item.body.replaceChildren(...show(await localize(item.file)));
      } catch (error) {
        failed += 1;
        item.body.replaceChildren(make("p", { class: "notice error" }, error.message));
      }
      done += 1;
      status.textContent = `${done} of ${total} photos done${failed ? `, ${failed} refused` : ""}`;
    }
  };
  status.textContent = `0 of ${total} photos done`;
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, next));
}

async function about() {
  const line = document.getElementById("release");
  try {
    const { activeRelease: release } = await ask("{ activeRelease { id geocells referenceImages levels { level } } }");
    line.textContent = release
      ? `Release ${release.id}: ${release.levels.length} levels, ${release.geocells} geocells, ${release.referenceImages} reference images.`
      : "No release is active yet. Build one with geosurge index, then activate it.";
  } catch (error) {
    line.textContent = error.message;
  }
}

const drop = document.getElementById("drop");
const input = document.getElementById("photos");
input.addEventListener("change", () => input.files.length && take(input.files));
document.getElementById("form").addEventListener("submit", (event) => event.preventDefault());
for (const name of ["dragenter", "dragover"]) {
  drop.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
}
for (const name of ["dragleave", "drop"]) drop.addEventListener(name, () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  event.preventDefault();
  const photos = [...event.dataTransfer.files];
  if (photos.length) take(photos);
});
about();
