// The present route; follows the address bar and the browser's back button.
import { signal } from "@preact/signals";
import { formatRoute, parseRoute, type Route } from "../route";

export const route = signal<Route>(parseRoute(location.hash));

addEventListener("hashchange", () => {
  route.value = parseRoute(location.hash);
});

/** Goes to a view and leaves the present one in the history. */
export function go(to: Route): void {
  location.hash = formatRoute(to);
}

/** Changes the address without a new step in the history, such as while a map moves. */
export function replace(to: Route): void {
  history.replaceState(null, "", formatRoute(to));
  route.value = to;
}

/** The full address of a view, to be sent to somebody. */
export function link(to: Route): string {
  return new URL(formatRoute(to), location.href).href;
}
