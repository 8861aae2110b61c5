// The most probable finest cells, with the match of each level.
import { Bar, Section } from "../../parts/basics";
import { colourAt } from "../../colour";
import { coordinates, percent } from "../../format";
import { headline, surroundings } from "../../names";
import { formatRoute } from "../../route";
import type { Answer } from "../../state/photos";
import { theme } from "../../state/theme";

export function Candidates({ answer, onFocus }: { answer: Answer; onFocus: (token: string | undefined) => void }) {
  const finest = answer.release.levels.length - 1;
  return (
    <Section title="Other places considered">
      <ol class="candidates">
        {answer.candidates.map((candidate) => (
          <li key={candidate.token}>
            <details>
              <summary onMouseEnter={() => onFocus(candidate.token)} onMouseLeave={() => onFocus(undefined)}>
                <span class="candidate-rank">{candidate.rank}</span>
                <span class="candidate-name">
                  {candidate.place ? headline(candidate.place) : coordinates(candidate.location, 2)}
                  <span class="quiet one-line">{candidate.place ? surroundings(candidate.place) : "At sea"}</span>
                </span>
                <Bar
                  share={candidate.probability}
                  colour={colourAt("probability", theme.value, candidate.probability)}
                  label={`Candidate ${candidate.rank}`}
                />
                <span class="number-cell">{percent(candidate.probability)}</span>
              </summary>
              <div class="candidate-more">
                <p>
                  {coordinates(candidate.location)} ·{" "}
                  <a href={formatRoute({ name: "cell", level: finest, token: candidate.token, release: answer.releaseId })}>
                    cell {candidate.token}
                  </a>
                </p>
                {candidate.path && (
                  <table class="table">
                    <caption>Match of each level by itself</caption>
                    <thead>
                      <tr>
                        <th scope="col">Level</th>
                        <th scope="col">Cell</th>
                        <th scope="col" class="number-cell">Cosine</th>
                        <th scope="col" class="number-cell">Softmax</th>
                      </tr>
                    </thead>
                    <tbody>
                      {candidate.path.map((match) => (
                        <tr key={match.level}>
                          <td>{match.level}</td>
                          <td>
                            <a href={formatRoute({ name: "cell", level: match.level, token: match.token, release: answer.releaseId })}>
                              {match.token}
                            </a>
                          </td>
                          <td class="number-cell">{match.cosine.toFixed(3)}</td>
                          <td class="number-cell">{percent(match.probability)}</td>
                        </tr>
                      ))}
                    </tbody>
                  </table>
                )}
              </div>
            </details>
          </li>
        ))}
      </ol>
    </Section>
  );
}
