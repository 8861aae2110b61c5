// Names of places, people's words first.
import type { PlaceNamesFragment } from "./api/generated";

export type Names = PlaceNamesFragment | null;

/** The closest name: the town, else the region, else the country; `At sea` without any. */
export function headline(place: Names): string {
  return place ? (place.locality ?? place.region ?? place.country) : "At sea";
}

/** What stands under the headline: the larger names that it does not say yet. */
export function surroundings(place: Names): string {
  if (!place) return "No place has a name here";
  const said = headline(place);
  const parts = [place.region, place.country, place.continent].filter((name) => name && name !== said);
  return [...new Set(parts)].join(", ");
}

/** One line: `Lyon, France`. */
export function line(place: Names): string {
  if (!place) return "At sea";
  const first = headline(place);
  return first === place.country ? first : `${first}, ${place.country}`;
}
