// Numbers as people read them.

export interface Location {
  latitude: number;
  longitude: number;
}

/** `48.8566° N, 2.3522° E`; four decimals are about ten metres. */
export function coordinates({ latitude, longitude }: Location, decimals = 4): string {
  const part = (value: number, positive: string, negative: string) =>
    `${Math.abs(value).toFixed(decimals)}° ${value < 0 ? negative : positive}`;
  return `${part(latitude, "N", "S")}, ${part(longitude, "E", "W")}`;
}

/** `48.856600, 2.352200`, which every map's search field takes. */
export function plainCoordinates({ latitude, longitude }: Location): string {
  return `${latitude.toFixed(6)}, ${longitude.toFixed(6)}`;
}

/** Reads `48.8566, 2.3522`, also with degree signs and N, S, E, W; undefined when it is no place on the Earth. */
export function parseCoordinates(text: string): Location | undefined {
  const match = /^\s*([-+]?\d+(?:\.\d+)?)\s*°?\s*([NS])?\s*[,;\s]\s*([-+]?\d+(?:\.\d+)?)\s*°?\s*([EW])?\s*$/i.exec(text);
  if (!match) return undefined;
  const latitude = Number(match[1]) * (match[2]?.toUpperCase() === "S" ? -1 : 1);
  const longitude = Number(match[3]) * (match[4]?.toUpperCase() === "W" ? -1 : 1);
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return undefined;
  return { latitude, longitude };
}

/** `93 %`, `4.2 %`, `< 0.1 %`; never `100 %` for what is not certain, nor `0 %` for what is not impossible. */
export function percent(share: number): string {
  const value = share * 100;
  if (value <= 0) return "0 %";
  if (value < 0.1) return "< 0.1 %";
  if (value < 9.95) return `${value.toFixed(1)} %`;
  if (value >= 99.5 && value < 100) return "> 99 %";
  return `${value.toFixed(0)} %`;
}

/** `340 m`, `7.2 km`, `1,240 km`. */
export function kilometres(value: number): string {
  if (value < 1) return `${Math.round(value * 1000)} m`;
  if (value < 10) return `${value.toFixed(1)} km`;
  return `${whole(value)} km`;
}

/** `0.4 km²`, `12,300 km²`. */
export function area(km2: number): string {
  return km2 < 10 ? `${km2.toFixed(1)} km²` : `${whole(km2)} km²`;
}

/** `12,345`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** `1.2k`, `34k`, for labels with little room. */
export function short(value: number): string {
  if (value < 1000) return String(Math.round(value));
  if (value < 10_000) return `${(value / 1000).toFixed(1).replace(/\.0$/, "")}k`;
  if (value < 1_000_000) return `${Math.round(value / 1000)}k`;
  return `${(value / 1_000_000).toFixed(1).replace(/\.0$/, "")}M`;
}

/** `0.8 ms`, `24 ms`, `3.1 s`. */
export function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(1)} s`;
  return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}

/** `24 Nov 2026, 18:05` in the reader's time zone. */
export function moment(text: string): string {
  const date = new Date(text);
  return date.toLocaleString("en-GB", { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" });
}

/** `24 Nov 2026` in UTC. */
export function day(text: string): string {
  return new Date(text).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" });
}

/** `2 minutes ago`, `3 days ago`. */
export function ago(text: string, now = Date.now()): string {
  const seconds = Math.round((new Date(text).getTime() - now) / 1000);
  const units: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3600], ["minute", 60]];
  const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const [unit, length] of units) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return "just now";
}

/** Bytes as `20 MB`. */
export function bytes(count: number): string {
  return count >= 1 << 20 ? `${Math.round(count / (1 << 20))} MB` : `${Math.round(count / 1024)} KB`;
}
