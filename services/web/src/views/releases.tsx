// Releases: what each is and how it does, what changes between two, and which one answers.
import { useState } from "preact/hooks";
import { ask, ServiceError } from "../api/client";
import { ActivateRelease, Releases, type ReleaseStatus, type ReleasesQuery, RollbackRelease } from "../api/generated";
import { ConfirmDialog } from "../parts/confirm-dialog";
import { Empty, Problem, Skeleton } from "../parts/basics";
import { moment, percent, whole } from "../format";
import { useLoad } from "../state/load";
import { useMap } from "../state/map";
import { replace } from "../state/router";
import { activeRelease, may, refreshRelease } from "../state/session";
import { ReleaseDifference } from "./releases/difference";

export type Release = ReleasesQuery["releases"][number];

const STATUS: Record<ReleaseStatus, string> = {
  BUILDING: "being built",
  READY: "ready",
  ACTIVE: "active",
  RETIRED: "retired",
  FAILED: "failed",
  PRUNED: "contents deleted",
};

type Wish = { kind: "activate"; id: string } | { kind: "rollback" };

export function ReleasesView({ from, to }: { from: string | undefined; to: string | undefined }) {
  const active = activeRelease.value?.id;
  const loaded = useLoad(async (signal) => (await ask(Releases, {}, signal)).releases, [active]);
  const [wish, setWish] = useState<Wish | undefined>(undefined);
  const [busy, setBusy] = useState(false);
  const [said, say] = useState("");
  const [problem, setProblem] = useState<ServiceError | undefined>(undefined);
  useMap((map) => {
    map.clear();
    map.colourCells("density");
  }, []);
  const fulfil = async () => {
    if (!wish) return;
    setBusy(true);
    setProblem(undefined);
    try {
      const done =
        wish.kind === "activate"
          ? (await ask(ActivateRelease, { id: wish.id })).activateRelease
          : (await ask(RollbackRelease, {})).rollbackRelease;
      const passed = done.passedOver.map(({ releaseId, reason }) => ` Passed over ${releaseId}: ${reason}.`).join("");
      say(`${done.release.id} answers now${done.previous ? ` instead of ${done.previous.id}` : ""}.${passed}`);
      await refreshRelease();
      loaded.again();
    } catch (error) {
      setProblem(error instanceof ServiceError ? error : new ServiceError("INTERNAL", String(error)));
    }
    setBusy(false);
    setWish(undefined);
  };
  const releases = loaded.value ?? [];
  const admin = may("ADMIN");
  return (
    <>
      <div class="section-head">
        <h1>Releases</h1>
        {admin && releases.some(({ status }) => status === "RETIRED") && (
          <button type="button" class="button" onClick={() => setWish({ kind: "rollback" })}>
            Roll back
          </button>
        )}
      </div>
      {said && (
        <p class="note note-truth" role="status">
          {said}
        </p>
      )}
      {problem && <Problem problem={problem} />}
      {loaded.state === "failed" && <Problem problem={loaded.problem} again={loaded.again} />}
      {loaded.state === "loading" && !loaded.value && <Skeleton lines={8} label="Loading releases" />}
      {loaded.value && !releases.length && (
        <Empty title="There is no release yet">
          <p>
            Build one with <code>geosurge index CHECKPOINT DATASET --activate</code>.
          </p>
        </Empty>
      )}
      {releases.length > 1 && <Compare releases={releases} from={from} to={to} />}
      {from && to && <ReleaseDifference key={`${from} ${to}`} from={from} to={to} />}
      <ol class="releases">
        {releases.map((release) => (
          <ReleaseCard
            key={release.id}
            release={release}
            onActivate={admin && release.activatable && release.status !== "ACTIVE" ? () => setWish({ kind: "activate", id: release.id }) : undefined}
          />
        ))}
      </ol>
      {wish && (
        <ConfirmDialog
          title={wish.kind === "activate" ? `Let ${wish.id} answer?` : "Roll back to the release before?"}
          action={wish.kind === "activate" ? "Activate" : "Roll back"}
          busy={busy}
          onConfirm={() => void fulfil()}
          onCancel={() => setWish(undefined)}
        >
          <p>
            From then on every question is answered by it; answers in progress end with the release that they began with. You
            can go back at any time.
          </p>
        </ConfirmDialog>
      )}
    </>
  );
}

function Compare({ releases, from, to }: { releases: readonly Release[]; from: string | undefined; to: string | undefined }) {
  const whole_ = releases.filter(({ status }) => ["READY", "ACTIVE", "RETIRED"].includes(status));
  const active = whole_.find(({ status }) => status === "ACTIVE") ?? whole_[0];
  const other = whole_.find(({ id }) => id !== active?.id);
  const [first, setFirst] = useState(from ?? active?.id ?? "");
  const [second, setSecond] = useState(to ?? other?.id ?? "");
  if (whole_.length < 2) return null;
  const choices = whole_.map(({ id, status }) => (
    <option key={id} value={id}>
      {id} ({STATUS[status]})
    </option>
  ));
  return (
    <form
      class="compare"
      onSubmit={(event) => {
        event.preventDefault();
        replace({ name: "releases", from: first, to: second });
      }}
    >
      <label class="field">
        <span>From</span>
        <select value={first} onChange={(event) => setFirst(event.currentTarget.value)}>
          {choices}
        </select>
      </label>
      <label class="field">
        <span>To</span>
        <select value={second} onChange={(event) => setSecond(event.currentTarget.value)}>
          {choices}
        </select>
      </label>
      <button type="submit" class="button button-main" disabled={first === second}>
        Compare
      </button>
    </form>
  );
}

function ReleaseCard({ release, onActivate }: { release: Release; onActivate: (() => void) | undefined }) {
  const { status } = release;
  return (
    <li class={`release release-${status.toLowerCase()}`}>
      <div class="release-head">
        <h2>{release.id}</h2>
        <span class={`badge badge-${status.toLowerCase()}`}>{STATUS[status]}</span>
        {onActivate && (
          <button type="button" class="button" onClick={onActivate} aria-label={`Activate ${release.id}`}>
            Activate
          </button>
        )}
      </div>
      <dl class="facts">
        <dt>Built</dt>
        <dd>{moment(release.readyAt ?? release.createdAt)}</dd>
        {release.activatedAt && (
          <>
            <dt>Last activated</dt>
            <dd>{moment(release.activatedAt)}</dd>
          </>
        )}
        {release.referenceImages !== null && (
          <>
            <dt>Holds</dt>
            <dd>
              {whole(release.referenceImages)} reference photos, {whole(release.geocells ?? 0)} geocells on {release.levels.length}{" "}
              levels
            </dd>
          </>
        )}
        {release.message && (
          <>
            <dt>Last event</dt>
            <dd>{release.message}</dd>
          </>
        )}
      </dl>
      {release.accuracy.length > 0 ? (
        <table class="table">
          <caption>Accuracy where the true place is known ({whole(release.accuracy[0]?.answers ?? 0)} answers)</caption>
          <thead>
            <tr>
              {release.accuracy.map((row) => (
                <th key={row.threshold} scope="col" class="number-cell">
                  {whole(row.kilometres)} km
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            <tr>
              {release.accuracy.map((row) => (
                <td key={row.threshold} class="number-cell" title={`95 % interval ${percent(row.low)} to ${percent(row.high)}`}>
                  {percent(row.accuracy)}
                </td>
              ))}
            </tr>
          </tbody>
        </table>
      ) : (
        <p class="quiet">No true places are recorded for its answers yet.</p>
      )}
      <details class="more">
        <summary>What training measured, and where it comes from</summary>
        {release.metrics.length > 0 && (
          <table class="table">
            <tbody>
              {release.metrics.map(({ name, value }) => (
                <tr key={name}>
                  <th scope="row">{name.replaceAll("_", " ")}</th>
                  <td class="number-cell">{Math.abs(value) >= 1000 ? whole(value) : Number(value.toPrecision(4))}</td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
        <dl class="facts">
          <dt>Checkpoint</dt>
          <dd>
            <code>{release.checkpointId}</code>
          </dd>
          <dt>Dataset</dt>
          <dd>
            <code>{release.datasetDigest}</code>
          </dd>
          <dt>Embedding</dt>
          <dd>{release.embeddingDimension} components</dd>
          <dt>Segmenter</dt>
          <dd>{release.segmenter ?? "none"}</dd>
        </dl>
      </details>
    </li>
  );
}
