// The map itself: one MapLibre map for the whole page, filled by the views.
import {
  AttributionControl,
  GlobeControl,
  Map as MapLibreMap,
  type GeoJSONSource,
  type MapGeoJSONFeature,
  Marker,
  NavigationControl,
  Popup,
  ScaleControl,
  setWorkerUrl,
} from "maplibre-gl";
import basemap from "virtual:basemap";
import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";
import "maplibre-gl/dist/maplibre-gl.css";
import type { FeatureCollection } from "geojson";
import type { Scale } from "../colour";
import type { Location } from "../format";
import { type Box, normalised, WORLD } from "../geometry/box";
import type { View } from "../route";
import type { Theme } from "../state/theme";
import { type DataSource, DATA_SOURCES, EMPTY, layers, POINTER_LAYERS, sky, style } from "./layers";
import type { Tiles } from "./tiles";

setWorkerUrl(workerUrl);

/** Zoom from which the finer base map is worth its bytes. */
const FINE_ZOOM = 3.2;

/** Where the arrow keys move a pin, in pixels right and down. */
const ARROWS: Readonly<Record<string, readonly [number, number]>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

export type PinKind = "answer" | "unsure" | "truth";

export interface Pin {
  location: Location;
  kind: PinKind;
  label: string;
  /** Called where the pin was dropped; without it the pin cannot be moved. */
  onMoved?: (to: Location) => void;
}

export interface Handlers {
  cell?: (token: string, level: number | undefined) => void;
  reference?: (id: string) => void;
  cluster?: (properties: Record<string, unknown>, at: Location) => void;
  /** The text over what the pointer is on; nothing without one. */
  describe?: (layer: string, properties: Record<string, unknown>) => string | undefined;
  moved?: (view: View, box: Box, zoom: number) => void;
}

export class MapView {
  readonly map: MapLibreMap;
  #handlers: Handlers = {};
  #pins: Marker[] = [];
  #pinKinds = "";
  #wanted: readonly Pin[] = [];
  #scale: Scale = "probability";
  #theme: Theme;
  #popup = new Popup({ closeButton: false, closeOnClick: false, className: "tip", offset: 14, maxWidth: "260px" });
  #fine = false;
  readonly #tiles: Tiles | undefined;

  constructor(container: HTMLElement, theme: Theme, tiles: Tiles | undefined) {
    this.#theme = theme;
    this.#tiles = tiles;
    this.map = new MapLibreMap({
      container,
      style: style(theme, tiles),
      center: [10, 25],
      zoom: startZoom(container),
      minZoom: 0,
      maxZoom: 17,
      attributionControl: false,
      maxPitch: 0,
      dragRotate: false,
      fadeDuration: 120,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    this.map.addControl(new GlobeControl(), "top-right");
    this.map.addControl(new ScaleControl({ maxWidth: 110 }), "bottom-right");
    this.map.addControl(new AttributionControl({ compact: true }), "bottom-right");
    this.#listen();
  }

  /** Resolves when the map can be filled. */
  ready(): Promise<void> {
    if (this.map.isStyleLoaded()) return Promise.resolve();
    return new Promise((resolve) => this.map.once("load", () => resolve()));
  }

  /** What the page does with the pointer and with movements; replaces what it did before. */
  handle(handlers: Handlers): void {
    this.#handlers = handlers;
    this.#popup.remove();
  }

  set(source: DataSource, data: FeatureCollection): void {
    (this.map.getSource(source) as GeoJSONSource | undefined)?.setData(data);
  }

  /** Takes everything of a view off the map. */
  clear(): void {
    for (const source of DATA_SOURCES) this.set(source, EMPTY as never);
    this.pins([]);
    this.handle({});
  }

  /** What the colour of cells means. */
  colourCells(scale: Scale): void {
    if (scale === this.#scale) return;
    this.#scale = scale;
    this.#repaint();
  }

  useTheme(theme: Theme): void {
    if (theme === this.#theme) return;
    this.#theme = theme;
    this.#repaint();
    this.map.setSky(sky(theme));
  }

  /** Puts pins on the map. Those of the same kinds as before are moved, so that one in somebody's hand stays there. */
  pins(pins: readonly Pin[]): void {
    const kinds = pins.map(({ kind, onMoved }) => `${kind} ${onMoved !== undefined}`).join();
    if (kinds !== this.#pinKinds) {
      for (const marker of this.#pins) marker.remove();
      this.#pins = pins.map((pin, index) => this.#pin(pin, index));
      this.#pinKinds = kinds;
    }
    this.#wanted = pins;
    for (const [index, marker] of this.#pins.entries()) {
      const pin = pins[index];
      if (pin) marker.setLngLat([pin.location.longitude, pin.location.latitude]);
    }
  }

  #pin({ location, kind, label, onMoved }: Pin, index: number): Marker {
    const element = pinElement(kind, label);
    const marker = new Marker({ element, anchor: "bottom", draggable: onMoved !== undefined })
      .setLngLat([location.longitude, location.latitude])
      .addTo(this.map);
    if (!onMoved) return marker;
    const tell = () => {
      const { lng, lat } = marker.getLngLat().wrap();
      this.#wanted[index]?.onMoved?.({ latitude: lat, longitude: lng });
    };
    element.classList.add("pin-movable");
    element.setAttribute("role", "application");
    element.setAttribute("aria-label", `${label}; move it with the arrow keys`);
    element.tabIndex = 0;
    element.addEventListener("keydown", (event) => {
      const step = ARROWS[event.key];
      if (!step) return;
      event.preventDefault();
      event.stopPropagation();
      const at = this.map.project(marker.getLngLat());
      const pixels = event.shiftKey ? 1 : 10;
      marker.setLngLat(this.map.unproject([at.x + step[0] * pixels, at.y + step[1] * pixels]));
      tell();
    });
    marker.on("dragend", tell);
    return marker;
  }

  /** Shows a box, with room for the panel that lies over the map. */
  fit(box: Box, maxZoom = 12): void {
    const { south, west, north, east } = box;
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.fitBounds([west, Math.max(-85, south), east, Math.min(85, north)], {
      padding: this.#padding(),
      maxZoom,
      duration: still ? 0 : 900,
    });
  }

  /** Turns the globe to a place and shows all of it. */
  turnTo({ latitude, longitude }: Location): void {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.easeTo({
      center: [longitude, Math.max(-60, Math.min(60, latitude))],
      zoom: startZoom(this.map.getContainer()),
      duration: still ? 0 : 900,
    });
  }

  show(view: View): void {
    this.map.jumpTo({ center: [view.longitude, view.latitude], zoom: view.zoom });
  }

  view(): View {
    const { lng, lat } = this.map.getCenter().wrap();
    return { longitude: lng, latitude: lat, zoom: this.map.getZoom() };
  }

  /** What is in sight; the whole world where the globe shows its edge. */
  box(): Box {
    if (this.map.getZoom() < 2.5) return WORLD;
    const bounds = this.map.getBounds();
    return normalised({
      south: bounds.getSouth(),
      west: bounds.getWest(),
      north: bounds.getNorth(),
      east: bounds.getEast(),
    });
  }

  #padding(): { top: number; bottom: number; left: number; right: number } {
    const { clientWidth, clientHeight } = this.map.getContainer();
    // A cell that filled the map would show nothing of where it lies.
    const edge = Math.min(clientWidth, clientHeight) / 5;
    return { top: edge, bottom: edge, left: edge, right: edge };
  }

  #repaint(): void {
    for (const layer of layers(this.#theme, this.#scale, this.#tiles)) {
      for (const [name, value] of Object.entries(layer.paint ?? {})) {
        this.map.setPaintProperty(layer.id, name as never, value as never);
      }
    }
  }

  #listen(): void {
    const { map } = this;
    const moved = () => this.#handlers.moved?.(this.view(), this.box(), map.getZoom());
    map.on("moveend", () => {
      if (!this.#fine && map.getZoom() > FINE_ZOOM) {
        this.#fine = true;
        (map.getSource("world") as GeoJSONSource | undefined)?.setData(basemap["50m"]);
      }
      moved();
    });
    map.on("resize", moved);
    const busy = (value: boolean) => map.getContainer().setAttribute("aria-busy", String(value));
    map.on("dataloading", () => busy(true));
    map.on("movestart", () => busy(true));
    map.on("idle", () => busy(false));
    map.on("mousemove", (event) => {
      const feature = this.#under(event.point);
      const text = feature && this.#handlers.describe?.(feature.layer.id, feature.properties);
      map.getCanvas().style.cursor = feature && this.#clickable(feature.layer.id) ? "pointer" : "";
      if (text) this.#popup.setLngLat(event.lngLat).setText(text).addTo(map);
      else this.#popup.remove();
    });
    map.on("mouseout", () => this.#popup.remove());
    map.on("click", (event) => {
      const feature = this.#under(event.point);
      if (!feature) return;
      const { id } = feature.layer;
      const properties = feature.properties;
      const at = { latitude: event.lngLat.lat, longitude: event.lngLat.lng };
      if (id === "references") this.#handlers.reference?.(String(properties["id"]));
      if (id === "clusters") this.#handlers.cluster?.(properties, at);
      if (id === "cells" || id === "cell-points") this.#handlers.cell?.(String(properties["token"]), numeric(properties["level"]));
    });
  }

  #under(point: { x: number; y: number }): MapGeoJSONFeature | undefined {
    const known = POINTER_LAYERS.filter((id) => this.map.getLayer(id));
    const found = this.map.queryRenderedFeatures([point.x, point.y], { layers: [...known] });
    return found.toSorted((a, b) => rank(a) - rank(b))[0];
  }

  #clickable(layer: string): boolean {
    const { cell, cluster, reference } = this.#handlers;
    return (layer.startsWith("cell") && !!cell) || (layer === "clusters" && !!cluster) || (layer === "references" && !!reference);
  }
}

/** The zoom at which the globe fills most of its place. */
function startZoom({ clientWidth, clientHeight }: HTMLElement): number {
  const room = Math.min(clientWidth, clientHeight) * 0.88;
  // A globe at zoom 0 has a circumference of 512 pixels.
  return Math.max(0, Math.log2((room * Math.PI) / 512));
}

function rank(feature: MapGeoJSONFeature): number {
  return POINTER_LAYERS.indexOf(feature.layer.id as (typeof POINTER_LAYERS)[number]);
}

function numeric(value: unknown): number | undefined {
  return typeof value === "number" ? value : undefined;
}

function pinElement(kind: PinKind, label: string): HTMLElement {
  const element = document.createElement("div");
  element.className = `pin pin-${kind}`;
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", label);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 28 38");
  svg.setAttribute("width", "34");
  svg.setAttribute("height", "46");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", "M14 1C6.8 1 1.5 6.4 1.5 13.3c0 8.9 9.6 17.2 12.5 23.2 2.9-6 12.5-14.3 12.5-23.2C26.5 6.4 21.2 1 14 1z");
  const dot = document.createElementNS(svg.namespaceURI, "circle");
  dot.setAttribute("cx", "14");
  dot.setAttribute("cy", "13.4");
  dot.setAttribute("r", "4.6");
  svg.append(path, dot);
  element.append(svg);
  return element;
}
