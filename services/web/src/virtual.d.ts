declare module "virtual:basemap" {
  /** Addresses of the base map's files, by the atlas's resolution. */
  const urls: Readonly<Record<"110m" | "50m", string>>;
  export default urls;
}
