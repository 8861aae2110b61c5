// Who asks, what the service permits, and which release answers.
import { effect, signal } from "@preact/signals";
import { apiKey, ask, ServiceError } from "../api/client";
import {
  ActiveRelease,
  type ActiveReleaseQuery,
  ReleaseChanges,
  Session,
  type Scope,
  type SessionQuery,
} from "../api/generated";
import { follow } from "../api/subscription";

export const session = signal<SessionQuery | undefined>(undefined);
/** The release that answers; null when none is active; undefined while nothing is known. */
export const activeRelease = signal<ActiveReleaseQuery["activeRelease"] | undefined>(undefined);
/** Why the session could not be opened. */
export const sessionProblem = signal<ServiceError | undefined>(undefined);
/** Whether the dialog for the API key is open. */
export const keyWanted = signal(false);

const ORDER: readonly Scope[] = ["READER", "ANALYST", "CONTRIBUTOR", "ADMIN"];

/** Whether the caller may do what a scope may do; unknown counts as yes, as the service decides anyway. */
export function may(scope: Scope): boolean {
  const own = session.value?.viewer.scope;
  return own === undefined || ORDER.indexOf(own) >= ORDER.indexOf(scope);
}

/** Reads the session and the active release anew. */
export async function openSession(): Promise<void> {
  try {
    session.value = await ask(Session, {});
    const { keysRequired, key } = session.value.viewer;
    if (keysRequired && !key) {
      keyWanted.value = true;
      return;
    }
    keyWanted.value = false;
    await refreshRelease();
    sessionProblem.value = undefined;
  } catch (error) {
    report(error);
  }
}

/** Asks which release answers. */
export async function refreshRelease(): Promise<void> {
  try {
    activeRelease.value = (await ask(ActiveRelease, {})).activeRelease;
  } catch (error) {
    report(error);
  }
}

function report(error: unknown): void {
  if (!(error instanceof ServiceError)) throw error;
  if (error.code === "UNAUTHENTICATED") keyWanted.value = true;
  sessionProblem.value = error;
}

/** Opens the session now and whenever the key changes, and follows changes of the active release. */
export function startSession(): void {
  let stop: (() => void) | undefined;
  effect(() => {
    // Reading the key subscribes this effect to it.
    void apiKey.value;
    stop?.();
    void openSession().then(() => {
      if (!keyWanted.value) stop = follow(ReleaseChanges, {}, () => void refreshRelease());
    });
  });
}
