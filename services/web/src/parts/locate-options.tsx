// How the next photos are localised: where they may have been taken, ten crops, scoring.
import { useState } from "preact/hooks";
import { ask } from "../api/client";
import { Countries } from "../api/generated";
import { mapView } from "../state/map";
import { options } from "../state/photos";
import { useLoad } from "../state/load";

type Where = "anywhere" | "countries" | "map";

export function LocateOptions() {
  const [open, setOpen] = useState(false);
  const { within, tenCrop, scoring } = options.value;
  const changed = [within && "restricted", tenCrop && "ten crops", scoring === "COSINE" && "cosine"].filter(Boolean);
  return (
    <details class="options" open={open} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        Options <span class="quiet">{changed.length ? changed.join(", ") : "anywhere on Earth"}</span>
      </summary>
      {open && <Fields />}
    </details>
  );
}

function Fields() {
  const within = options.value.within;
  const where: Where = within?.countries ? "countries" : within?.box ? "map" : "anywhere";
  const choose = (choice: Where) => {
    const { within: _, ...rest } = options.value;
    if (choice === "anywhere") options.value = rest;
    if (choice === "countries") options.value = { ...rest, within: { countries: [] } };
    const box = mapView.peek()?.box();
    if (choice === "map" && box) options.value = { ...rest, within: { box } };
  };
  return (
    <div class="options-body">
      <fieldset>
        <legend>Taken</legend>
        <div class="choices">
          {([["anywhere", "anywhere"], ["countries", "in countries"], ["map", "in what the map shows"]] as const).map(
            ([value, label]) => (
              <label key={value} class="check">
                <input type="radio" name="where" checked={where === value} onChange={() => choose(value)} />
                <span>{label}</span>
              </label>
            ),
          )}
        </div>
      </fieldset>
      {within?.countries && <CountryChoice chosen={within.countries} />}
      {within?.box && (
        <p class="quiet">
          Between {within.box.south.toFixed(1)}° and {within.box.north.toFixed(1)}° north, {within.box.west.toFixed(1)}° and{" "}
          {within.box.east.toFixed(1)}° east. Move the map and choose again to change it.
        </p>
      )}
      <label class="check">
        <input
          type="checkbox"
          checked={options.value.tenCrop ?? false}
          onChange={(event) => (options.value = { ...options.value, tenCrop: event.currentTarget.checked })}
        />
        <span>Average ten crops: slower, steadier</span>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={options.value.scoring === "COSINE"}
          onChange={(event) =>
            (options.value = { ...options.value, scoring: event.currentTarget.checked ? "COSINE" : "PROBABILITY" })
          }
        />
        <span>Score by cosine, without temperatures</span>
      </label>
    </div>
  );
}

function CountryChoice({ chosen }: { chosen: readonly string[] }) {
  const loaded = useLoad((signal) => ask(Countries, {}, signal), []);
  const countries = loaded.value?.countries ?? [];
  const set = (codes: string[]) => (options.value = { ...options.value, within: { countries: codes } });
  const name = (code: string) => countries.find((country) => country.code === code)?.name ?? code;
  return (
    <div class="countries">
      <label class="field">
        <span>Add a country</span>
        <select
          value=""
          onChange={(event) => {
            const code = event.currentTarget.value;
            if (code && !chosen.includes(code)) set([...chosen, code]);
            event.currentTarget.value = "";
          }}
        >
          <option value="">{loaded.state === "loading" ? "Loading…" : "Choose…"}</option>
          {countries.map((country) => (
            <option key={country.code} value={country.code}>
              {country.name}
            </option>
          ))}
        </select>
      </label>
      <ul class="tags">
        {chosen.map((code) => (
          <li key={code}>
            {name(code)}
            <button type="button" aria-label={`Remove ${name(code)}`} onClick={() => set(chosen.filter((own) => own !== code))}>
              ×
            </button>
          </li>
        ))}
      </ul>
      {!chosen.length && <p class="quiet">Choose at least one country.</p>}
    </div>
  );
}
