// Lines over days. A day without a value leaves a gap; a single day is drawn as points.
import { day } from "../format";

export interface Series {
  name: string;
  /** By day, as `2026-11-24`. */
  values: ReadonlyMap<string, number>;
}

const WIDTH = 640;
const HEIGHT = 200;
const LEFT = 46;
const BOTTOM = 26;

export function LineChart({ series, label, top, format }: { series: readonly Series[]; label: string; top?: number; format: (value: number) => string }) {
  const days = [...new Set(series.flatMap(({ values }) => [...values.keys()]))].toSorted();
  const highest = top ?? niceTop(Math.max(0, ...series.flatMap(({ values }) => [...values.values()])));
  const first = Date.parse(days[0] ?? "");
  const last = Date.parse(days.at(-1) ?? "");
  const x = (at: string) => (last > first ? LEFT + ((Date.parse(at) - first) / (last - first)) * (WIDTH - LEFT - 14) : (WIDTH + LEFT) / 2);
  const y = (value: number) => 8 + (1 - value / highest) * (HEIGHT - 8 - BOTTOM);
  return (
    <>
      <svg class="chart" viewBox={`0 0 ${WIDTH} ${HEIGHT}`} role="img" aria-label={`${label}; the table has the numbers`}>
        {[0, 0.25, 0.5, 0.75, 1].map((part) => (
          <g key={part}>
            <path class="chart-grid" d={`M${LEFT} ${y(part * highest)}H${WIDTH}`} />
            <text class="chart-text" x={LEFT - 6} y={y(part * highest) + 4} text-anchor="end">{format(part * highest)}</text>
          </g>
        ))}
        {days[0] && <text class="chart-text" x={last > first ? LEFT : x(days[0])} y={HEIGHT - 6} text-anchor={last > first ? "start" : "middle"}>{day(days[0])}</text>}
        {last > first && <text class="chart-text" x={WIDTH - 4} y={HEIGHT - 6} text-anchor="end">{day(days.at(-1) ?? "")}</text>}
        {series.map(({ name, values }, index) => {
          const points = days.flatMap((at) => (values.has(at) ? [{ at, value: values.get(at) ?? 0 }] : []));
          return (
            <g key={name} class={`line-series line-series-${index % 7}`}>
              <path d={points.map(({ at, value }, step) => `${step ? "L" : "M"}${x(at)} ${y(value)}`).join("")} />
              {points.map(({ at, value }) => (
                <circle key={at} cx={x(at)} cy={y(value)} r={points.length > 40 ? 1.5 : 3.5}>
                  <title>{`${name}, ${day(at)}: ${format(value)}`}</title>
                </circle>
              ))}
            </g>
          );
        })}
      </svg>
      <ul class="stage-names" aria-hidden="true">
        {series.map(({ name }, index) => (
          <li key={name}>
            <span class={`swatch series-${index % 7}`} />
            {name}
          </li>
        ))}
      </ul>
      <details class="more">
        <summary>As a table</summary>
        <div class="scroll">
          <table class="table">
            <thead>
              <tr>
                <th scope="col">Day</th>
                {series.map(({ name }) => (
                  <th key={name} scope="col" class="number-cell">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {days.map((at) => (
                <tr key={at}>
                  <th scope="row">{day(at)}</th>
                  {series.map(({ name, values }) => (
                    <td key={name} class="number-cell">
                      {values.has(at) ? format(values.get(at) ?? 0) : ""}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </>
  );
}

/** A round number at or above a value: 1, 2 or 5 times a power of ten. */
export function niceTop(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}
