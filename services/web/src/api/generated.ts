// Written by `npm run types` from operations.graphql and the service's schema; do not edit.
import type { Operation } from "./operation";

/** Internal type. DO NOT USE DIRECTLY. */
type Exact<T extends { [key: string]: unknown }> = { [K in keyof T]: T[K] };
/** Internal type. DO NOT USE DIRECTLY. */
export type Incremental<T> = T | { [P in keyof T]?: P extends ' $fragmentName' | '__typename' ? T[P] : never };
/** Degrees. west above east: the box crosses the 180th meridian. */
export type Box = {
  south: number;
  west: number;
  north: number;
  east: number;
};

/** Exactly one of these (oneof). */
export type Area =
  {   box: Box; polygon?: never; countries?: never; }
  |  { box?: never;   /** GeoJSON geometry: Polygon or MultiPolygon, longitude first; at most 10,000 vertices; longitudes may run past 180. */
  polygon: unknown; countries?: never; }
  |  { box?: never; polygon?: never;   /** ISO 3166-1 codes of two letters, or English names: ["FR", "Spain"]. */
  countries: Array<string>; };

export type Scoring =
  | 'PROBABILITY'
  | 'COSINE';

export type LocalizeOptions = {
  client?: string | null | undefined;
  within?: Area | null | undefined;
  scoring?: Scoring;
  tenCrop?: boolean;
  candidates?: number;
  references?: number;
  credibleMass?: number;
  referenceFilter?: ReferenceFilter | null | undefined;
};

/** Which reference images may support an answer. */
export type ReferenceFilter = {
  within?: Area | null | undefined;
  capturedSince?: string | null | undefined;
  capturedUntil?: string | null | undefined;
  minLikeness?: number | null | undefined;
  /** Search the whole gallery (or `within`) instead of only the winning geocells. */
  anywhere?: boolean;
};

/**
 * READER: localize, look at releases, cells, references. ANALYST: + recorded predictions, analytics, diff, ground truth.
 * CONTRIBUTOR: + add/remove reference images. ADMIN: + activate, roll back, audit log.
 */
export type Scope =
  | 'READER'
  | 'ANALYST'
  | 'CONTRIBUTOR'
  | 'ADMIN';

export type ReleaseStatus =
  | 'BUILDING'
  | 'READY'
  | 'ACTIVE'
  | 'RETIRED'
  | 'FAILED'
  | 'PRUNED';

export type DiffSource =
  /** Reference photographs of `from`, which both may have learnt from. */
  | 'PROBE'
  /** Queries that a shadow answered too. */
  | 'SHADOW';

export type SessionQueryVariables = Exact<{ [key: string]: never; }>;


export type SessionQuery = { viewer: { keysRequired: boolean, scope: Scope, coarsenKilometres: number | null, key: { name: string, requestsPerMinute: number | null } | null }, service: { version: string, attribution: string, limits: { maxUploadBytes: number, maxPhotos: number, formats: Array<string> } } };

export type ActiveReleaseQueryVariables = Exact<{ [key: string]: never; }>;


export type ActiveReleaseQuery = { activeRelease: { id: string, geocells: number | null, referenceImages: number | null, segmenter: string | null, levels: Array<{ level: number, geocells: number }> } | null };

export type CountriesQueryVariables = Exact<{ [key: string]: never; }>;


export type CountriesQuery = { countries: Array<{ code: string, name: string }> };

export type PlaceNamesFragment = { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null };

export type ReferenceFragment = { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null };

export type TruthFragment = { groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null };

export type AnswerFragment = { id: string, releaseId: string, createdAt: string, fileName: string | null, photoSha256: string, client: string | null, confidence: number, entropy: number, outsideMass: number | null, cannotTell: string | null, scoring: Scoring | null, restricted: boolean | null, detailed: boolean, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, name: string, probability: number }>, levels: Array<{ level: number, token: string, probability: number, photos: number | null, location: { latitude: number, longitude: number } }> | null, candidates: Array<{ rank: number, token: string, probability: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, path: Array<{ level: number, token: string, cosine: number, probability: number }> | null }>, credibleRegion: { mass: number, wanted: number, areaKm2: number, tokens: Array<string>, geojson: unknown }, references: Array<{ likeness: number, distanceKilometres: number, image: { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, segmentation: { width: number, height: number, overlayUrl: string, classes: Array<{ class: number, name: string, share: number, colour: string }> } | null, timings: Array<{ stage: string, milliseconds: number }>, release: { levels: Array<{ level: number, geocells: number }> }, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null };

export type LocalizeMutationVariables = Exact<{
  photo: File;
  options?: LocalizeOptions | null | undefined;
}>;


export type LocalizeMutation = { localize: { id: string, releaseId: string, createdAt: string, fileName: string | null, photoSha256: string, client: string | null, confidence: number, entropy: number, outsideMass: number | null, cannotTell: string | null, scoring: Scoring | null, restricted: boolean | null, detailed: boolean, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, name: string, probability: number }>, levels: Array<{ level: number, token: string, probability: number, photos: number | null, location: { latitude: number, longitude: number } }> | null, candidates: Array<{ rank: number, token: string, probability: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, path: Array<{ level: number, token: string, cosine: number, probability: number }> | null }>, credibleRegion: { mass: number, wanted: number, areaKm2: number, tokens: Array<string>, geojson: unknown }, references: Array<{ likeness: number, distanceKilometres: number, image: { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, segmentation: { width: number, height: number, overlayUrl: string, classes: Array<{ class: number, name: string, share: number, colour: string }> } | null, timings: Array<{ stage: string, milliseconds: number }>, release: { levels: Array<{ level: number, geocells: number }> }, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null } };

export type PredictionQueryVariables = Exact<{
  id: string;
}>;


export type PredictionQuery = { prediction: { id: string, releaseId: string, createdAt: string, fileName: string | null, photoSha256: string, client: string | null, confidence: number, entropy: number, outsideMass: number | null, cannotTell: string | null, scoring: Scoring | null, restricted: boolean | null, detailed: boolean, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, within: Array<{ kilometres: number, name: string, probability: number }>, levels: Array<{ level: number, token: string, probability: number, photos: number | null, location: { latitude: number, longitude: number } }> | null, candidates: Array<{ rank: number, token: string, probability: number, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null, path: Array<{ level: number, token: string, cosine: number, probability: number }> | null }>, credibleRegion: { mass: number, wanted: number, areaKm2: number, tokens: Array<string>, geojson: unknown }, references: Array<{ likeness: number, distanceKilometres: number, image: { id: string, releaseId: string, thumbnailUrl: string, capturedAt: string | null, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } }>, segmentation: { width: number, height: number, overlayUrl: string, classes: Array<{ class: number, name: string, share: number, colour: string }> } | null, timings: Array<{ stage: string, milliseconds: number }>, release: { levels: Array<{ level: number, geocells: number }> }, groundTruth: { errorKilometres: number, source: string, recordedAt: string, location: { latitude: number, longitude: number }, place: { name: string, continent: string, country: string, countryCode: string, region: string | null, locality: string | null } | null } | null } | null };

export type PredictionRegionQueryVariables = Exact<{
  id: string;
  mass: number;
}>;


export type PredictionRegionQuery = { prediction: { credibleRegion: { mass: number, wanted: number, areaKm2: number, tokens: Array<string>, geojson: unknown } } | null };

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
  text: "query Analytics($view: String!, $release: ID, $since: String, $first: Int!) { analytics(view: $view, release: $release, since: $since, first: $first) { view { columns { name } } rows truncated } }",
};
