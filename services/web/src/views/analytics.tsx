// How the answers do: accuracy by distance, over time and by region, whether probabilities can be believed, time.
import { useState } from "preact/hooks";
import { ask } from "../api/client";
import { Releases } from "../api/generated";
import { Problem } from "../parts/basics";
import { useLoad } from "../state/load";
import { activeRelease } from "../state/session";
import { AccuracyCard } from "./analytics/accuracy";
import { CalibrationCard } from "./analytics/calibration";
import { LatencyCard } from "./analytics/latency";
import { RegionsCard } from "./analytics/regions";
import { TrendCard } from "./analytics/trend";
import { VolumeCard } from "./analytics/volume";

export interface Filter {
  release: string | null;
  since: string | null;
}

const SPANS: readonly [string, number | null][] = [
  ["all time", null],
  ["90 days", 90],
  ["30 days", 30],
  ["7 days", 7],
];

export function AnalyticsView() {
  const [release, setRelease] = useState<string | undefined>(undefined);
  const [span, setSpan] = useState<number | null>(null);
  const releases = useLoad(async (signal) => (await ask(Releases, {}, signal)).releases, []);
  const chosen = release ?? activeRelease.value?.id;
  if (releases.state === "failed") {
    return (
      <>
        <h1>Analytics</h1>
        <Problem problem={releases.problem} again={releases.again} />
      </>
    );
  }
  const since = span === null ? null : new Date(Date.now() - span * 86_400_000).toISOString().slice(0, 10);
  const filter: Filter = { release: chosen ?? null, since };
  return (
    <>
      <div class="section-head">
        <h1>Analytics</h1>
        <div class="row filters">
          <label class="field">
            <span>Release</span>
            <select value={chosen ?? ""} onChange={(event) => setRelease(event.currentTarget.value)}>
              {(releases.value ?? []).map(({ id }) => (
                <option key={id} value={id}>
                  {id}
                </option>
              ))}
            </select>
          </label>
          <label class="field">
            <span>Since</span>
            <select value={String(span)} onChange={(event) => setSpan(event.currentTarget.value === "null" ? null : Number(event.currentTarget.value))}>
              {SPANS.map(([label, days]) => (
                <option key={label} value={String(days)}>
                  {label}
                </option>
              ))}
            </select>
          </label>
        </div>
      </div>
      <p class="lede">
        Accuracy counts answers whose true place somebody recorded. Intervals are 95 % (Wilson). The same views are open to
        SQL.
      </p>
      <div class="cards">
        <AccuracyCard filter={filter} />
        <CalibrationCard filter={filter} />
        <TrendCard filter={filter} />
        <RegionsCard filter={filter} />
        <LatencyCard filter={filter} />
        <VolumeCard filter={filter} />
      </div>
    </>
  );
}
