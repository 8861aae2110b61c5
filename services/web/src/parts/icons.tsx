// Line icons, drawn for this page on a grid of 24.
const PATHS = {
  locate: "M12 3v3m0 12v3M3 12h3m12 0h3M12 7a5 5 0 1 0 0 10 5 5 0 0 0 0-10z",
  answers: "M5 6h14M5 12h14M5 18h9",
  explore: "M4 7l5-3 6 3 5-3v13l-5 3-6-3-5 3V7zm5-3v13m6-10v13",
  releases: "M12 3l8 4-8 4-8-4 8-4zm-8 9l8 4 8-4M4 17l8 4 8-4",
  analytics: "M4 20V4m0 16h16M8 16v-4m4 4V8m4 8v-6",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zm0-5v2m0 14v2M3 12h2m14 0h2M5.6 5.6L7 7m10 10l1.4 1.4m0-12.8L17 7M7 17l-1.4 1.4",
  moon: "M20 14.5A8 8 0 0 1 9.5 4 8 8 0 1 0 20 14.5z",
  key: "M14.5 9.5a4.5 4.5 0 1 1-1.6 3.4L4 21v-3h3v-3h3l1-1",
  photo: "M4 6h16v13H4V6zm0 10l4.5-4.5 4 4L15 13l5 5M15.5 9.5h.01",
  close: "M6 6l12 12M18 6L6 18",
  back: "M15 5l-7 7 7 7",
  next: "M9 5l7 7-7 7",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" width="20" height="20" aria-hidden="true">
      <path d={PATHS[name]} />
    </svg>
  );
}
