// The photos of this visit: they are kept in the page alone, and sent to the service two at a time.
import { computed, signal } from "@preact/signals";
import { ask, ServiceError } from "../api/client";
import { type AnswerFragment, Localize, type LocalizeOptions } from "../api/generated";
import { go, route } from "./router";
import { keyWanted } from "./session";

export type Answer = AnswerFragment;

export interface Photo {
  readonly key: number;
  readonly file: File;
  /** Address of the picture in this page. */
  readonly url: string;
  readonly state: "waiting" | "sent" | "answered" | "refused";
  readonly answer?: Answer;
  readonly problem?: ServiceError;
}

const SIDE_BY_SIDE = 2;
/** Seconds to wait when the service is overloaded and does not say for how long. */
const PATIENCE = 2;
const ATTEMPTS = 5;

export const photos = signal<readonly Photo[]>([]);
/** How photos are localised from now on. */
export const options = signal<LocalizeOptions>({});
/** Answers that were read from the record or from a photo of this visit, by id. */
export const answers = signal<ReadonlyMap<string, Answer>>(new Map());

export const progress = computed(() => {
  const all = photos.value;
  const count = (state: Photo["state"]) => all.filter((photo) => photo.state === state).length;
  return { total: all.length, answered: count("answered"), refused: count("refused") };
});

let nextKey = 1;
let running = 0;
const controllers = new Map<number, AbortController>();

/** Takes photos in and starts asking; a single one opens its answer when it is there. */
export function add(files: readonly File[]): void {
  const images = files.filter((file) => file.type.startsWith("image/") || /\.(jpe?g|png|webp|tiff?|gif|bmp|heic)$/i.test(file.name));
  const chosen = images.length ? images : files;
  if (!chosen.length) return;
  const added = chosen.map(
    (file): Photo => ({ key: nextKey++, file, url: URL.createObjectURL(file), state: "waiting" }),
  );
  photos.value = [...photos.value, ...added];
  if (route.value.name !== "locate") go({ name: "locate" });
  const open = added.length === 1 ? added[0]?.key : undefined;
  pump(open);
}

/** Removes a photo from the page; a request on its way is given up. */
export function remove(key: number): void {
  controllers.get(key)?.abort();
  const photo = photos.value.find((candidate) => candidate.key === key);
  if (photo) URL.revokeObjectURL(photo.url);
  photos.value = photos.value.filter((candidate) => candidate.key !== key);
}

/** Asks again for a photo that was refused. */
export function retry(key: number): void {
  change(key, { state: "waiting" });
  pump(undefined);
}

/** The photo of an answer, if it was given in this visit. */
export function photoOf(id: string): Photo | undefined {
  return photos.value.find(({ answer }) => answer?.id === id);
}

/** Keeps an answer; the photo that it belongs to shows the new one. */
export function keep(answer: Answer): void {
  answers.value = new Map(answers.value).set(answer.id, answer);
  photos.value = photos.value.map((photo) => (photo.answer?.id === answer.id ? { ...photo, answer } : photo));
}

function change(key: number, with_: Partial<Photo>): void {
  photos.value = photos.value.map((photo) => (photo.key === key ? { ...photo, ...with_ } : photo));
}

function pump(open: number | undefined): void {
  while (running < SIDE_BY_SIDE) {
    const next = photos.value.find(({ state }) => state === "waiting");
    if (!next) return;
    running += 1;
    change(next.key, { state: "sent" });
    void send(next, open === next.key).finally(() => {
      running -= 1;
      pump(open);
    });
  }
}

async function send(photo: Photo, open: boolean): Promise<void> {
  const controller = new AbortController();
  controllers.set(photo.key, controller);
  try {
    const answer = await patiently(photo.file, controller.signal);
    change(photo.key, { state: "answered", answer });
    keep(answer);
    if (open && route.value.name === "locate") go({ name: "answer", id: answer.id });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") return;
    const problem = error instanceof ServiceError ? error : new ServiceError("INTERNAL", String(error));
    if (problem.code === "UNAUTHENTICATED") keyWanted.value = true;
    change(photo.key, { state: "refused", problem });
  } finally {
    controllers.delete(photo.key);
  }
}

/** Asks, and asks again after the time that an overloaded service names. */
async function patiently(file: File, signal_: AbortSignal): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return (await ask(Localize, { photo: file, options: wanted() }, signal_)).localize;
    } catch (error) {
      const busy = error instanceof ServiceError && ["OVERLOADED", "RATE_LIMITED"].includes(error.code);
      if (!busy || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? PATIENCE)));
      signal_.throwIfAborted();
    }
  }
}

/** The options as they are sent: a restriction to no country yet is none. */
function wanted(): LocalizeOptions {
  const { within, ...rest } = options.value;
  return within && within.countries?.length !== 0 ? { ...rest, within } : rest;
}
