// The chance of being within each of the five distances.
import { Bar } from "../../parts/basics";
import { percent, whole } from "../../format";

interface Within {
  kilometres: number;
  name: string;
  probability: number;
}

export function Ladder({ within }: { within: readonly Within[] }) {
  const rising = within.toSorted((a, b) => a.kilometres - b.kilometres);
  return (
    <table class="ladder">
      <caption class="visually-hidden">How near the true place is</caption>
      <thead class="visually-hidden">
        <tr>
          <th scope="col">Within</th>
          <th scope="col">As a bar</th>
          <th scope="col">Probability</th>
        </tr>
      </thead>
      <tbody>
        {rising.map(({ kilometres, name, probability }) => (
          <tr key={kilometres}>
            <th scope="row">
              {whole(kilometres)} km <span class="quiet">{name}</span>
            </th>
            <td class="ladder-bar">
              <Bar share={probability} label={`Within ${kilometres} kilometres`} />
            </td>
            <td class="number-cell">{percent(probability)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
