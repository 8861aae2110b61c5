// The address of every view, kept in the part of the URL after #, so that answers and cells can be sent as links.

export interface View {
  longitude: number;
  latitude: number;
  zoom: number;
}

export type Route =
  | { name: "locate" }
  | { name: "answer"; id: string; level?: number }
  | { name: "answers" }
  | { name: "explore"; level?: number; view?: View }
  | { name: "cell"; level: number; token: string; release?: string }
  | { name: "releases"; from?: string; to?: string }
  | { name: "analytics" };

/** Reads a URL's hash; whatever cannot be read is the first page. */
export function parseRoute(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/").map(decode);
  const values = new URLSearchParams(query);
  switch (name) {
    case "answers":
      return { name };
    case "answer": {
      const level = integer(values.get("level"));
      return rest[0] ? { name, id: rest[0], ...(level === undefined ? {} : { level }) } : { name: "locate" };
    }
    case "explore": {
      const level = integer(values.get("level"));
      const view = parseView(values.get("at"));
      return { name, ...(level === undefined ? {} : { level }), ...(view ? { view } : {}) };
    }
    case "cell": {
      const level = integer(rest[0] ?? null);
      const release = values.get("release");
      if (level === undefined || !rest[1]) return { name: "explore" };
      return { name, level, token: rest[1], ...(release ? { release } : {}) };
    }
    case "releases": {
      const [from, to] = [values.get("from"), values.get("to")];
      return { name, ...(from ? { from } : {}), ...(to ? { to } : {}) };
    }
    case "analytics":
      return { name };
    default:
      return { name: "locate" };
  }
}

/** The hash of a route; `parseRoute` gives the route back. */
export function formatRoute(route: Route): string {
  const values = new URLSearchParams();
  let path: string = route.name;
  if (route.name === "locate") path = "";
  if (route.name === "answer") {
    path = `answer/${encodeURIComponent(route.id)}`;
    if (route.level !== undefined) values.set("level", String(route.level));
  }
  if (route.name === "explore") {
    if (route.level !== undefined) values.set("level", String(route.level));
    if (route.view) {
      const { latitude, longitude, zoom } = route.view;
      values.set("at", `${latitude.toFixed(4)},${longitude.toFixed(4)},${zoom.toFixed(2)}`);
    }
  }
  if (route.name === "cell") {
    path = `cell/${route.level}/${encodeURIComponent(route.token)}`;
    if (route.release) values.set("release", route.release);
  }
  if (route.name === "releases") {
    if (route.from) values.set("from", route.from);
    if (route.to) values.set("to", route.to);
  }
  const query = values.toString().replaceAll("%2C", ",");
  return `#/${path}${query ? `?${query}` : ""}`;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function integer(text: string | null): number | undefined {
  return text !== null && /^\d+$/.test(text) ? Number(text) : undefined;
}

function parseView(text: string | null): View | undefined {
  const [latitude, longitude, zoom] = (text ?? "").split(",").map(Number);
  if (latitude === undefined || longitude === undefined || zoom === undefined) return undefined;
  if (![latitude, longitude, zoom].every(Number.isFinite) || Math.abs(latitude) > 90) return undefined;
  return { latitude, longitude, zoom };
}
