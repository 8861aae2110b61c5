// Asks the service for what a view shows, with the three states that every view has to draw.
import { useCallback, useEffect, useState } from "preact/hooks";
import { apiKey, ServiceError } from "../api/client";
import { keyWanted } from "./session";

export type Loaded<T> =
  | { state: "loading"; value?: T }
  | { state: "ready"; value: T }
  | { state: "failed"; problem: ServiceError; value?: T };

/** Loads when the view opens and when `inputs` change; the last value stays while the next one is on its way. */
export function useLoad<T>(
  load: (signal: AbortSignal) => Promise<T>,
  inputs: readonly unknown[],
): Loaded<T> & { again: () => void } {
  const [loaded, set] = useState<Loaded<T>>({ state: "loading" });
  const [attempt, setAttempt] = useState(0);
  const key = apiKey.value;
  useEffect(() => {
    const controller = new AbortController();
    set((before) => ({ state: "loading", ...(before.value === undefined ? {} : { value: before.value }) }));
    load(controller.signal).then(
      (value) => {
        if (!controller.signal.aborted) set({ state: "ready", value });
      },
      (error: unknown) => {
        if (controller.signal.aborted) return;
        const problem = error instanceof ServiceError ? error : new ServiceError("INTERNAL", String(error));
        if (problem.code === "UNAUTHENTICATED") keyWanted.value = true;
        set((before) => ({ state: "failed", problem, ...(before.value === undefined ? {} : { value: before.value }) }));
      },
    );
    return () => controller.abort();
  }, [...inputs, key, attempt]);
  const again = useCallback(() => setAttempt((count) => count + 1), []);
  return { ...loaded, again };
}
