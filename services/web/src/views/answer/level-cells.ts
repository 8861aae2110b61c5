// The cells of one level with a photo's probability: all that matter while the service holds the posterior, the best of
// each level from the record afterwards.
import type { Geometry } from "geojson";
import { ask, ServiceError } from "../../api/client";
import { GeocellMap, LevelOutlines } from "../../api/generated";
import { collection, type CellFeature } from "../../map/data";
import type { Answer } from "../../state/photos";

export interface LevelCells {
  level: number;
  /** How many cells the level has. */
  total: number;
  /** False when only the recorded best cells are known. */
  whole: boolean;
  /** Most probable first. */
  features: CellFeature[];
}

/** Cells asked for: the rest holds next to nothing. */
const MOST = 300;

export async function levelCells(answer: Answer, level: number, signal: AbortSignal): Promise<LevelCells> {
  if (answer.detailed) {
    try {
      const { geocellMap } = await ask(
        GeocellMap,
        { level, first: MOST, prediction: answer.id, release: answer.releaseId },
        signal,
      );
      const { features } = collection(geocellMap.geojson);
      return { level, total: geocellMap.total, whole: true, features };
    } catch (error) {
      if (!(error instanceof ServiceError) || error.code !== "EXPIRED") throw error;
    }
  }
  return recorded(answer, level, signal);
}

async function recorded(answer: Answer, level: number, signal: AbortSignal): Promise<LevelCells> {
  const finest = answer.release.levels.length - 1;
  const known = new Map<string, { probability: number; latitude: number; longitude: number; name: string | null }>();
  const best = answer.levels?.find((own) => own.level === level);
  if (best) known.set(best.token, { probability: best.probability, ...best.location, name: null });
  if (level === finest) {
    for (const { token, probability, location, place } of answer.candidates) {
      known.set(token, { probability, ...location, name: place?.name ?? null });
    }
  }
  const total = answer.release.levels.find((own) => own.level === level)?.geocells ?? 0;
  if (!known.size) return { level, total, whole: false, features: [] };
  const { geocells } = await ask(
    LevelOutlines,
    { tokens: [...known.keys()], level, release: answer.releaseId, first: known.size },
    signal,
  );
  const features = geocells.nodes
    .map((cell): CellFeature => {
      const { probability = 0, latitude = 0, longitude = 0, name = null } = known.get(cell.token) ?? {};
      return {
        type: "Feature",
        geometry: cell.outline as Geometry,
        properties: {
          token: cell.token,
          level: cell.level,
          photos: cell.photos,
          references: 0,
          areaKm2: cell.areaKm2,
          density: 0,
          latitude,
          longitude,
          name,
          probability,
        },
      };
    })
    .toSorted((a, b) => (b.properties.probability ?? 0) - (a.properties.probability ?? 0));
  return { level, total, whole: false, features };
}
