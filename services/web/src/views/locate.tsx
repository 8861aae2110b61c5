// The first page: choose photos, see where each was taken.
import { useRef } from "preact/hooks";
import { Empty } from "../parts/basics";
import { Icon } from "../parts/icons";
import { LocateOptions } from "../parts/locate-options";
import { bytes, coordinates, whole } from "../format";
import { around } from "../geometry/box";
import { points } from "../map/data";
import { headline, surroundings } from "../names";
import { formatRoute } from "../route";
import { useMap } from "../state/map";
import { add, type Answer, type Photo, photos, progress, remove, retry } from "../state/photos";
import { go } from "../state/router";
import { activeRelease, session } from "../state/session";
import { verdict } from "../verdict";

export function LocateView() {
  const all = photos.value;
  useMap(
    (map) => {
      map.clear();
      const answered = all.flatMap((photo, index) =>
        photo.answer ? [{ id: photo.answer.id, location: photo.answer.location, label: String(index + 1) }] : [],
      );
      map.set("references", points(answered));
      map.handle({
        reference: (id) => go({ name: "answer", id }),
        describe: (_layer, properties) => {
          const answer = photos.peek().find((photo) => photo.answer?.id === properties["id"])?.answer;
          return answer && `${headline(answer.place)} · ${coordinates(answer.location, 2)}`;
        },
      });
      const box = around(answered.map(({ location }) => [location.longitude, location.latitude]));
      if (box && answered.length > 1) map.fit(box, 6);
    },
    [all],
  );
  return (
    <>
      <h1>Where was this photo taken?</h1>
      <Chooser small={all.length > 0} />
      <LocateOptions />
      {all.length > 0 ? <PhotoList all={all} /> : <Introduction />}
    </>
  );
}

function Chooser({ small }: { small: boolean }) {
  const input = useRef<HTMLInputElement>(null);
  const limits = session.value?.service.limits;
  return (
    <div class={small ? "chooser chooser-small" : "chooser"}>
      <Icon name="photo" />
      <p class="chooser-call">{small ? "More photos" : "Drop photos here, paste one, or"}</p>
      <button type="button" class="button button-main" onClick={() => input.current?.click()}>
        Choose photos
      </button>
      <input
        ref={input}
        class="visually-hidden"
        type="file"
        accept="image/*"
        multiple
        tabIndex={-1}
        aria-label="Photos"
        data-testid="photos"
        onChange={(event) => {
          add([...(event.currentTarget.files ?? [])]);
          event.currentTarget.value = "";
        }}
      />
      {!small && (
        <p class="quiet">
          JPEG, PNG, WebP, TIFF, GIF or BMP{limits ? `, up to ${bytes(limits.maxUploadBytes)} each` : ""}. Photos stay in
          this page and the service, which keeps no copy of them.
        </p>
      )}
    </div>
  );
}

function Introduction() {
  const release = activeRelease.value;
  if (release === null) {
    return (
      <Empty title="No release is active yet">
        <p>
          Build one with <code>geosurge index CHECKPOINT DATASET --activate</code>, or activate a release that is ready on{" "}
          <a href={formatRoute({ name: "releases" })}>Releases</a>.
        </p>
      </Empty>
    );
  }
  return (
    <div class="intro">
      <h2>What you will get</h2>
      <ul>
        <li>
          <strong>A place by name</strong>, with the chance of being within 1, 25, 200, 750 and 2,500 km of it
        </li>
        <li>
          <strong>The region</strong> that holds 90 % of the belief, and how seven partitions of the Earth narrow to it
        </li>
        <li>
          <strong>The evidence</strong>: reference photos that look alike, and what the photo shows
        </li>
        <li>
          <strong>“Cannot tell”</strong>, when that is the truth
        </li>
      </ul>
      {release && (
        <p class="quiet">
          Answers come from release <strong>{release.id}</strong>: {whole(release.geocells ?? 0)} geocells on{" "}
          {release.levels.length} levels, {whole(release.referenceImages ?? 0)} reference photos.
        </p>
      )}
    </div>
  );
}

function PhotoList({ all }: { all: readonly Photo[] }) {
  const { total, answered, refused } = progress.value;
  const done = answered + refused;
  return (
    <>
      <p class="list-head" role="status" aria-live="polite">
        {done < total ? `${done} of ${total} photos done` : `${answered} of ${total} photos answered`}
        {refused > 0 && `, ${refused} refused`}
      </p>
      <ul class="photo-list">
        {all.map((photo, index) => (
          <PhotoRow key={photo.key} photo={photo} number={index + 1} />
        ))}
      </ul>
    </>
  );
}

function PhotoRow({ photo, number }: { photo: Photo; number: number }) {
  const { answer, problem } = photo;
  const judged = answer && verdict(answer.within, answer.cannotTell);
  return (
    <li class="photo-row">
      <img src={photo.url} alt="" class="thumb" />
      <div class="photo-text">
        {answer ? (
          <a class="photo-link" href={formatRoute({ name: "answer", id: answer.id })}>
            <span class="number">{number}</span>
            {answer.cannotTell ? "Cannot tell" : headline(answer.place)}
          </a>
        ) : (
          <span class="photo-link quiet">{problem ? "Refused" : photo.state === "sent" ? "Looking…" : "Waiting"}</span>
        )}
        {answer && <p class="quiet one-line">{under(answer)}</p>}
        {judged && judged.tone !== "none" && <p class={`verdict-small tone-${judged.tone}`}>{judged.text}</p>}
        {problem && <p class="problem-text">{problem.message}</p>}
        <p class="quiet one-line file-name">{photo.file.name}</p>
      </div>
      <div class="photo-tools">
        {problem && (
          <button type="button" class="button" onClick={() => retry(photo.key)}>
            Again
          </button>
        )}
        <button type="button" class="tool" aria-label={`Remove ${photo.file.name}`} onClick={() => remove(photo.key)}>
          <Icon name="close" />
        </button>
      </div>
    </li>
  );
}

/** What stands under a photo's place in the list. */
function under({ place, location, cannotTell }: Answer): string {
  const where = place ? surroundings(place) : coordinates(location, 2);
  return cannotTell ? `Best guess: ${headline(place)}, ${where}` : where;
}
