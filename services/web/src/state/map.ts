// The one map of the page, once its code has arrived, and a hook for views that fill it.
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { MapView } from "../map/map-view";

export const mapView = signal<MapView | undefined>(undefined);
/** Why there is no map, such as a browser without WebGL. */
export const mapProblem = signal<string | undefined>(undefined);

/** Runs an effect on the map now or when it is ready, and again when one of `inputs` changes. */
export function useMap(effect: (map: MapView) => void | (() => void), inputs: readonly unknown[]): void {
  const map = mapView.value;
  useEffect(() => (map ? effect(map) : undefined), [map, ...inputs]);
}
