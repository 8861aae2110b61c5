// Where the map is: its code is fetched after the page stands, so that the page can be read at once.
import { useEffect, useRef } from "preact/hooks";
import { configuredTiles } from "../map/tiles";
import { mapProblem, mapView } from "../state/map";
import { theme } from "../state/theme";

export function MapPane({ hidden }: { hidden: boolean }) {
  const container = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let gone = false;
    const start = async () => {
      const [{ MapView }, tiles] = await Promise.all([import("../map/map-view"), configuredTiles()]);
      if (gone || !container.current) return;
      const view = new MapView(container.current, theme.peek(), tiles);
      await view.ready();
      view.useTheme(theme.peek());
      mapView.value = view;
      if (import.meta.env.DEV) Object.assign(globalThis, { geosurgeMap: view.map });
    };
    start().catch((error: unknown) => {
      console.error(error);
      mapProblem.value =
        "The map cannot be drawn: this browser offers no WebGL. Places are given in words and numbers all the same.";
    });
    return () => {
      gone = true;
    };
  }, []);
  const colours = theme.value;
  useEffect(() => mapView.value?.useTheme(colours), [colours]);
  return (
    <div class="map-pane" hidden={hidden}>
      <div class="map" ref={container} />
      {mapProblem.value && <p class="map-problem note note-error">{mapProblem.value}</p>}
      {!mapView.value && !mapProblem.value && <p class="map-loading">Drawing the map…</p>}
    </div>
  );
}
