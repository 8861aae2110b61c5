// Written by `npm run types` from operations.graphql and the service's schema; do not edit.
import type { Operation } from "./operation";

/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** A part of the Earth; give exactly one field. */
export type Area =
  {   /** A box. */
  box: Box; polygon?: never; countries?: never; }
  |  { box?: never;   /** A GeoJSON geometry, Polygon or MultiPolygon: longitude first, at most 10,000 corners, longitudes may run past 180 degrees. */
  polygon: unknown; countries?: never; }
  |  { box?: never; polygon?: never;   /** Countries by ISO 3166-1 code or English name, such as FR or Spain. */
  countries: Array<string>; };

/** A box, in degrees. With west above east it crosses the 180th meridian. */
export type Box = {
  /** Lowest latitude, -90 to 90. */
  south: number;
  /** Western longitude, -180 to 180. */
  west: number;
  /** Highest latitude, -90 to 90. */
  north: number;
  /** Eastern longitude, -180 to 180. */
  east: number;
};

/** What two releases are compared by. */
export type DiffSource =
  /** Reference photographs of the first release, which both may have learnt from, so that it flatters both. */
  | 'PROBE'
  /** Queries that the second release answered too, unseen, beside the first one. */
  | 'SHADOW';

/** How a photo is localised, and how much is told. */
export type LocalizeOptions = {
  /** Who asks, recorded with the prediction: at most 64 characters. Where the caller has an API key, the key's name goes before it. */
  client?: string | null | undefined;
  /** The photo is known to be of this area: only places in it are answered, with the probabilities given that. */
  within?: Area | null | undefined;
  /** How geocells are chosen. */
  scoring?: Scoring;
  /** Average ten views of the photo: slower, and a little more accurate. */
  tenCrop?: boolean;
  /** Candidates told, 1 to 100. */
  candidates?: number;
  /** Reference images told, 0 to 100. */
  references?: number;
  /** Probability that the recorded credible region holds, above 0 and below 1. */
  credibleMass?: number;
  /** Which reference images may be told; those of the winning geocells when left out. */
  referenceFilter?: ReferenceFilter | null | undefined;
};

/** Which reference images may support an answer. */
export type ReferenceFilter = {
  /** Only those taken here. */
  within?: Area | null | undefined;
  /** Only those taken at this time or later. */
  capturedSince?: string | null | undefined;
  /** Only those taken at this time or before. */
  capturedUntil?: string | null | undefined;
  /** Only those at least so alike: a cosine, -1 to 1. */
  minLikeness?: number | null | undefined;
  /** Search the whole gallery instead of the winning geocells alone. */
  anywhere?: boolean;
};

/** Where a release stands in its life. */
export type ReleaseStatus =
  /** Being indexed; a killed build resumes. */
  | 'BUILDING'
  /** Indexed and verified, waiting to be activated. */
  | 'READY'
  /** The one that answers. */
  | 'ACTIVE'
  /** Was active and may be again. */
  | 'RETIRED'
  /** Could not be built, or was found broken. */
  | 'FAILED'
  /** Its geocells and reference images were deleted; its predictions stay. */
  | 'PRUNED';

/** What a caller may do; each scope permits what those before it do. */
export type Scope =
  /** Localise photos, look at releases, geocells and reference images, and at its own predictions. */
  | 'READER'
  /** Everyone's predictions, analytics, comparisons of releases, ground truth. */
  | 'ANALYST'
  /** Add and remove reference images. */
  | 'CONTRIBUTOR'
  /** Activate releases and roll back, read the audit log. */
  | 'ADMIN';

/** How the similarities along a path of geocells become one score. */
export type Scoring =
  /** The product over levels of the softmax probabilities. */
  | 'PROBABILITY'
  /** The product over levels of (1 + cosine) / 2. */
  | 'COSINE';

export type SessionQueryVariables = Exact<{ [key: string]: never; }>;


export type SessionQuery = { viewer: { keysRequired: boolean, scope: Scope, coarsenKilometres: number | null, key: { name: string, requestsPerMinute: number | null } | null }, service: { version: string, attribution: string, limits: { maxUploadBytes: number, maxPhotos: number, formats: Array<string> } } };

export type ActiveReleaseQueryVariables = Exact<{ [key: string]: never; }>;


export type ActiveReleaseQuery = { activeRelease: { id: string, geocells: number | null, referenceImages: number | null, segmenter: string | null, levels: Array<{ level: number, geocells: number }> } | null };

export type CountriesQueryVariables = Exact<{ [key: string]: never; }>;


export type CountriesQuery = { countries: Array<{ code: string, name: string }> };

export type PlaceNamesFragment = { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null };

export type ReferenceFragment = { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null };

export type TruthFragment = { groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null };

export type AnswerFragment = { id: string, releaseId: string, createdAt: string, fileName: string | null, photoSha256: string, client: string | null, confidence: number, entropy: number, outsideMass: number | null, cannotTell: string | null, scoring: Scoring | null, restricted: boolean | null, detailed: boolean, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, name: string, probability: number }>, levels: Array<{ level: number, token: string, probability: number, photos: number | null, location: { latitude: number, longitude: number } }> | null, candidates: Array<{ rank: number, token: string, probability: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, path: Array<{ level: number, token: string, cosine: number, probability: number }> | null }>, credibleRegion: { mass: number, wanted: number | null, areaKm2: number, tokens: Array<string>, geojson: unknown }, references: Array<{ likeness: number, distanceKilometres: number, image: { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, segmentation: { width: number, height: number, overlayUrl: string, classes: Array<{ class: number, name: string, share: number, colour: string }> } | null, timings: Array<{ stage: string, milliseconds: number }>, release: { levels: Array<{ level: number, geocells: number }> }, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null };

export type LocalizeMutationVariables = Exact<{
  photo: File;
  options?: LocalizeOptions | null | undefined;
}>;


export type LocalizeMutation = { localize: { id: string, releaseId: string, createdAt: string, fileName: string | null, photoSha256: string, client: string | null, confidence: number, entropy: number, outsideMass: number | null, cannotTell: string | null, scoring: Scoring | null, restricted: boolean | null, detailed: boolean, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, name: string, probability: number }>, levels: Array<{ level: number, token: string, probability: number, photos: number | null, location: { latitude: number, longitude: number } }> | null, candidates: Array<{ rank: number, token: string, probability: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, path: Array<{ level: number, token: string, cosine: number, probability: number }> | null }>, credibleRegion: { mass: number, wanted: number | null, areaKm2: number, tokens: Array<string>, geojson: unknown }, references: Array<{ likeness: number, distanceKilometres: number, image: { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, segmentation: { width: number, height: number, overlayUrl: string, classes: Array<{ class: number, name: string, share: number, colour: string }> } | null, timings: Array<{ stage: string, milliseconds: number }>, release: { levels: Array<{ level: number, geocells: number }> }, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null } };

export type PredictionQueryVariables = Exact<{
  id: string;
}>;


export type PredictionQuery = { prediction: { id: string, releaseId: string, createdAt: string, fileName: string | null, photoSha256: string, client: string | null, confidence: number, entropy: number, outsideMass: number | null, cannotTell: string | null, scoring: Scoring | null, restricted: boolean | null, detailed: boolean, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, name: string, probability: number }>, levels: Array<{ level: number, token: string, probability: number, photos: number | null, location: { latitude: number, longitude: number } }> | null, candidates: Array<{ rank: number, token: string, probability: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, path: Array<{ level: number, token: string, cosine: number, probability: number }> | null }>, credibleRegion: { mass: number, wanted: number | null, areaKm2: number, tokens: Array<string>, geojson: unknown }, references: Array<{ likeness: number, distanceKilometres: number, image: { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, segmentation: { width: number, height: number, overlayUrl: string, classes: Array<{ class: number, name: string, share: number, colour: string }> } | null, timings: Array<{ stage: string, milliseconds: number }>, release: { levels: Array<{ level: number, geocells: number }> }, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null } | null };

export type PredictionRegionQueryVariables = Exact<{
  id: string;
  mass: number;
}>;


export type PredictionRegionQuery = { prediction: { credibleRegion: { mass: number, wanted: number | null, areaKm2: number, tokens: Array<string>, geojson: unknown } } | null };

export type PredictionGeojsonQueryVariables = Exact<{
  id: string;
}>;


export type PredictionGeojsonQuery = { prediction: { geojson: unknown } | null };

export type LevelOutlinesQueryVariables = Exact<{
  tokens: Array<string> | string;
  level: number;
  release: string;
  first: number;
}>;


export type LevelOutlinesQuery = { geocells: { nodes: Array<{ token: string, level: number, photos: number, areaKm2: number, outline: unknown }> } };

export type PredictionsQueryVariables = Exact<{
  first: number;
  after?: string | null | undefined;
  cannotTell?: boolean | null | undefined;
  withGroundTruth?: boolean | null | undefined;
}>;


export type PredictionsQuery = { predictions: { pageInfo: { hasNextPage: boolean, endCursor: string | null }, nodes: Array<{ id: string, releaseId: string, createdAt: string, fileName: string | null, client: string | null, confidence: number, cannotTell: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, probability: number }>, groundTruth: { errorKilometres: number } | null }> } };

export type RecordGroundTruthMutationVariables = Exact<{
  prediction: string;
  latitude: number;
  longitude: number;
  source?: string | null | undefined;
}>;


export type RecordGroundTruthMutation = { recordGroundTruth: { id: string, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null } };

export type GeocellMapQueryVariables = Exact<{
  level: number;
  box?: Box | null | undefined;
  first: number;
  prediction?: string | null | undefined;
  release?: string | null | undefined;
}>;


export type GeocellMapQuery = { geocellMap: { level: number, total: number, truncated: boolean, geojson: unknown } };

export type ReferenceClustersQueryVariables = Exact<{
  box: Box;
  zoom: number;
  release?: string | null | undefined;
}>;


export type ReferenceClustersQuery = { referenceClusters: { total: number, clusters: Array<{ count: number, location: { latitude: number, longitude: number }, bounds: { south: number, west: number, north: number, east: number }, sample: { id: string, thumbnailUrl: string } }> } };

export type ReferencesInBoxQueryVariables = Exact<{
  box: Box;
  first: number;
  release?: string | null | undefined;
}>;


export type ReferencesInBoxQuery = { referenceImages: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null }> } };

export type CellSummaryFragment = { token: string, level: number, photos: number, references: number, density: number, areaKm2: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null };

export type GeocellQueryVariables = Exact<{
  token: string;
  level?: number | null | undefined;
  release?: string | null | undefined;
}>;


export type GeocellQuery = { geocell: { releaseId: string, outline: unknown, token: string, level: number, photos: number, references: number, density: number, areaKm2: number, bounds: { south: number, west: number, north: number, east: number }, path: Array<{ token: string, level: number, photos: number, areaKm2: number, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null }>, children: Array<{ outline: unknown, token: string, level: number, photos: number, references: number, density: number, areaKm2: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null }>, neighbours: Array<{ cosine: number, distanceKilometres: number, geocell: { outline: unknown, token: string, level: number, photos: number, references: number, density: number, areaKm2: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, referenceImages: { pageInfo: { hasNextPage: boolean }, nodes: Array<{ id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null }> }, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null };

export type ReleaseSummaryFragment = { id: string, status: ReleaseStatus, checkpointId: string, datasetDigest: string, embeddingDimension: number, geocells: number | null, referenceImages: number | null, message: string | null, createdAt: string, readyAt: string | null, activatedAt: string | null, segmenter: string | null, activatable: boolean, levels: Array<{ level: number, geocells: number }>, metrics: Array<{ name: string, value: number }>, accuracy: Array<{ threshold: string, kilometres: number, answers: number, accuracy: number, low: number, high: number, claimed: number | null }> };

export type ReleasesQueryVariables = Exact<{ [key: string]: never; }>;


export type ReleasesQuery = { releases: Array<{ id: string, status: ReleaseStatus, checkpointId: string, datasetDigest: string, embeddingDimension: number, geocells: number | null, referenceImages: number | null, message: string | null, createdAt: string, readyAt: string | null, activatedAt: string | null, segmenter: string | null, activatable: boolean, levels: Array<{ level: number, geocells: number }>, metrics: Array<{ name: string, value: number }>, accuracy: Array<{ threshold: string, kilometres: number, answers: number, accuracy: number, low: number, high: number, claimed: number | null }> }> };

export type ShareFragment = { kilometres: number, name: string, share: number };

export type ReleaseDiffQueryVariables = Exact<{
  from: string;
  to: string;
  source: DiffSource;
  photos: number;
}>;


export type ReleaseDiffQuery = { releaseDiff: { source: string, photos: number, won: number, lost: number, confidenceFrom: number, confidenceTo: number, cannotTellFrom: number, cannotTellTo: number, agreement: Array<{ kilometres: number, name: string, share: number }>, sameGeocell: Array<{ level: number, share: number }>, moved: { unchanged: number, medianKilometres: number, p90Kilometres: number, p99Kilometres: number, largestKilometres: number }, accuracyFrom: Array<{ kilometres: number, name: string, share: number }> | null, accuracyTo: Array<{ kilometres: number, name: string, share: number }> | null, regions: Array<{ token: string, photos: number, moved: number, outline: unknown, center: { latitude: number, longitude: number } }> } };

export type ActivateReleaseMutationVariables = Exact<{
  id: string;
}>;


export type ActivateReleaseMutation = { activateRelease: { release: { id: string }, previous: { id: string } | null, passedOver: Array<{ releaseId: string, reason: string }> } };

export type RollbackReleaseMutationVariables = Exact<{ [key: string]: never; }>;


export type RollbackReleaseMutation = { rollbackRelease: { release: { id: string }, previous: { id: string } | null, passedOver: Array<{ releaseId: string, reason: string }> } };

export type ReleaseChangesSubscriptionVariables = Exact<{ [key: string]: never; }>;


export type ReleaseChangesSubscription = { releaseChanges: { previousActive: string | null, active: { id: string } | null } };

export type AnalyticsViewsQueryVariables = Exact<{ [key: string]: never; }>;


export type AnalyticsViewsQuery = { analyticsViews: Array<{ name: string, takesRelease: boolean, takesSince: boolean }> };

export type AnalyticsQueryVariables = Exact<{
  view: string;
  release?: string | null | undefined;
  since?: string | null | undefined;
  first: number;
}>;


export type AnalyticsQuery = { analytics: { rows: Array<unknown>, truncated: boolean, view: { columns: Array<{ name: string }> } } };

export const Session: Operation<SessionQuery, SessionQueryVariables> = {
  name: "Session",
  text: "query Session { viewer { keysRequired scope coarsenKilometres key { name requestsPerMinute } } service { version attribution limits { maxUploadBytes maxPhotos formats } } }",
};

export const ActiveRelease: Operation<ActiveReleaseQuery, ActiveReleaseQueryVariables> = {
  name: "ActiveRelease",
  text: "query ActiveRelease { activeRelease { id geocells referenceImages segmenter levels { level geocells } } }",
};

export const Countries: Operation<CountriesQuery, CountriesQueryVariables> = {
  name: "Countries",
  text: "query Countries { countries { code name } }",
};

export const Localize: Operation<LocalizeMutation, LocalizeMutationVariables> = {
  name: "Localize",
  text: "mutation Localize($photo: Upload!, $options: LocalizeOptions) { localize(photo: $photo, options: $options) { ...Answer } } fragment Answer on Prediction { id releaseId createdAt fileName photoSha256 client confidence entropy outsideMass cannotTell scoring restricted detailed location { latitude longitude } place { ...PlaceNames } within { kilometres name probability } levels { level token probability photos location { latitude longitude } } candidates(first: 10) { rank token probability location { latitude longitude } place { ...PlaceNames } path { level token cosine probability } } credibleRegion { mass wanted areaKm2 tokens geojson } references { likeness distanceKilometres image { ...Reference } } segmentation { width height overlayUrl classes { class name share colour } } timings { stage milliseconds } release { levels { level geocells } } ...Truth } fragment PlaceNames on Place { name continent country countryCode region locality } fragment Reference on ReferenceImage { id releaseId thumbnailUrl capturedAt location { latitude longitude } place { ...PlaceNames } } fragment Truth on Prediction { groundTruth { errorKilometres source recordedAt location { latitude longitude } place { ...PlaceNames } } }",
};

export const Prediction: Operation<PredictionQuery, PredictionQueryVariables> = {
  name: "Prediction",
  text: "query Prediction($id: ID!) { prediction(id: $id) { ...Answer } } fragment Answer on Prediction { id releaseId createdAt fileName photoSha256 client confidence entropy outsideMass cannotTell scoring restricted detailed location { latitude longitude } place { ...PlaceNames } within { kilometres name probability } levels { level token probability photos location { latitude longitude } } candidates(first: 10) { rank token probability location { latitude longitude } place { ...PlaceNames } path { level token cosine probability } } credibleRegion { mass wanted areaKm2 tokens geojson } references { likeness distanceKilometres image { ...Reference } } segmentation { width height overlayUrl classes { class name share colour } } timings { stage milliseconds } release { levels { level geocells } } ...Truth } fragment PlaceNames on Place { name continent country countryCode region locality } fragment Reference on ReferenceImage { id releaseId thumbnailUrl capturedAt location { latitude longitude } place { ...PlaceNames } } fragment Truth on Prediction { groundTruth { errorKilometres source recordedAt location { latitude longitude } place { ...PlaceNames } } }",
};

export const PredictionRegion: Operation<PredictionRegionQuery, PredictionRegionQueryVariables> = {
  name: "PredictionRegion",
  text: "query PredictionRegion($id: ID!, $mass: Float!) { prediction(id: $id) { credibleRegion(mass: $mass) { mass wanted areaKm2 tokens geojson } } }",
};

export const PredictionGeojson: Operation<PredictionGeojsonQuery, PredictionGeojsonQueryVariables> = {
  name: "PredictionGeojson",
  text: "query PredictionGeojson($id: ID!) { prediction(id: $id) { geojson } }",
};

export const LevelOutlines: Operation<LevelOutlinesQuery, LevelOutlinesQueryVariables> = {
  name: "LevelOutlines",
  text: "query LevelOutlines($tokens: [String!]!, $level: Int!, $release: ID!, $first: Int!) { geocells(tokens: $tokens, level: $level, release: $release, first: $first) { nodes { token level photos areaKm2 outline } } }",
};

export const Predictions: Operation<PredictionsQuery, PredictionsQueryVariables> = {
  name: "Predictions",
  text: "query Predictions($first: Int!, $after: String, $cannotTell: Boolean, $withGroundTruth: Boolean) { predictions( first: $first after: $after cannotTell: $cannotTell withGroundTruth: $withGroundTruth ) { pageInfo { hasNextPage endCursor } nodes { id releaseId createdAt fileName client confidence cannotTell location { latitude longitude } place { ...PlaceNames } within { kilometres probability } groundTruth { errorKilometres } } } } fragment PlaceNames on Place { name continent country countryCode region locality }",
};

export const RecordGroundTruth: Operation<RecordGroundTruthMutation, RecordGroundTruthMutationVariables> = {
  name: "RecordGroundTruth",
  text: "mutation RecordGroundTruth($prediction: ID!, $latitude: Float!, $longitude: Float!, $source: String) { recordGroundTruth( prediction: $prediction latitude: $latitude longitude: $longitude source: $source ) { id ...Truth } } fragment PlaceNames on Place { name continent country countryCode region locality } fragment Truth on Prediction { groundTruth { errorKilometres source recordedAt location { latitude longitude } place { ...PlaceNames } } }",
};

export const GeocellMap: Operation<GeocellMapQuery, GeocellMapQueryVariables> = {
  name: "GeocellMap",
  text: "query GeocellMap($level: Int!, $box: Box, $first: Int!, $prediction: ID, $release: ID) { geocellMap( level: $level box: $box first: $first prediction: $prediction release: $release ) { level total truncated geojson } }",
};

export const ReferenceClusters: Operation<ReferenceClustersQuery, ReferenceClustersQueryVariables> = {
  name: "ReferenceClusters",
  text: "query ReferenceClusters($box: Box!, $zoom: Int!, $release: ID) { referenceClusters(box: $box, zoom: $zoom, release: $release) { total clusters { count location { latitude longitude } bounds { south west north east } sample { id thumbnailUrl } } } }",
};

export const ReferencesInBox: Operation<ReferencesInBoxQuery, ReferencesInBoxQueryVariables> = {
  name: "ReferencesInBox",
  text: "query ReferencesInBox($box: Box!, $first: Int!, $release: ID) { referenceImages(box: $box, first: $first, release: $release) { pageInfo { hasNextPage } nodes { ...Reference } } } fragment PlaceNames on Place { name continent country countryCode region locality } fragment Reference on ReferenceImage { id releaseId thumbnailUrl capturedAt location { latitude longitude } place { ...PlaceNames } }",
};

export const Geocell: Operation<GeocellQuery, GeocellQueryVariables> = {
  name: "Geocell",
  text: "query Geocell($token: String!, $level: Int, $release: ID) { geocell(token: $token, level: $level, release: $release) { ...CellSummary releaseId outline bounds { south west north east } path { token level photos areaKm2 place { ...PlaceNames } } children { ...CellSummary outline } neighbours(first: 6) { cosine distanceKilometres geocell { ...CellSummary outline } } referenceImages(first: 24) { pageInfo { hasNextPage } nodes { ...Reference } } } } fragment CellSummary on Geocell { token level photos references density areaKm2 location { latitude longitude } place { ...PlaceNames } } fragment PlaceNames on Place { name continent country countryCode region locality } fragment Reference on ReferenceImage { id releaseId thumbnailUrl capturedAt location { latitude longitude } place { ...PlaceNames } }",
};

export const Releases: Operation<ReleasesQuery, ReleasesQueryVariables> = {
  name: "Releases",
  text: "query Releases { releases { ...ReleaseSummary } } fragment ReleaseSummary on Release { id status checkpointId datasetDigest embeddingDimension geocells referenceImages message createdAt readyAt activatedAt segmenter activatable levels { level geocells } metrics { name value } accuracy { threshold kilometres answers accuracy low high claimed } }",
};

export const ReleaseDiff: Operation<ReleaseDiffQuery, ReleaseDiffQueryVariables> = {
  name: "ReleaseDiff",
  text: "query ReleaseDiff($from: ID!, $to: ID!, $source: DiffSource!, $photos: Int!) { releaseDiff(from: $from, to: $to, source: $source, photos: $photos) { source photos agreement { ...Share } sameGeocell { level share } moved { unchanged medianKilometres p90Kilometres p99Kilometres largestKilometres } accuracyFrom { ...Share } accuracyTo { ...Share } won lost confidenceFrom confidenceTo cannotTellFrom cannotTellTo regions { token photos moved outline center { latitude longitude } } } } fragment Share on DistanceShare { kilometres name share }",
};

export const ActivateRelease: Operation<ActivateReleaseMutation, ActivateReleaseMutationVariables> = {
  name: "ActivateRelease",
  text: "mutation ActivateRelease($id: ID!) { activateRelease(id: $id) { release { id } previous { id } passedOver { releaseId reason } } }",
};

export const RollbackRelease: Operation<RollbackReleaseMutation, RollbackReleaseMutationVariables> = {
  name: "RollbackRelease",
  text: "mutation RollbackRelease { rollbackRelease { release { id } previous { id } passedOver { releaseId reason } } }",
};

export const ReleaseChanges: Operation<ReleaseChangesSubscription, ReleaseChangesSubscriptionVariables> = {
  name: "ReleaseChanges",
  text: "subscription ReleaseChanges { releaseChanges { previousActive active { id } } }",
};

export const AnalyticsViews: Operation<AnalyticsViewsQuery, AnalyticsViewsQueryVariables> = {
  name: "AnalyticsViews",
  text: "query AnalyticsViews { analyticsViews { name takesRelease takesSince } }",
};

export const Analytics: Operation<AnalyticsQuery, AnalyticsQueryVariables> = {
  name: "Analytics",
  text: "query Analytics($view: String!, $release: ID, $since: NaiveDate, $first: Int!) { analytics(view: $view, release: $release, since: $since, first: $first) { view { columns { name } } rows truncated } }",
};
