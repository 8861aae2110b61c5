// Raster tiles over the offline base map, where the service's operator has configured an address for them.

export interface Tiles {
  /** With {z}, {x} and {y}. */
  url: string;
  /** Whose they are; shown on the map. */
  attribution: string;
}

/** What the service was configured with; nothing when it was not. */
export async function configuredTiles(): Promise<Tiles | undefined> {
  const response = await fetch("/map.json").catch(() => undefined);
  if (!response?.ok) return undefined;
  const { tiles } = (await response.json()) as { tiles: Tiles | null };
  return tiles ?? undefined;
}
