// An answer in one sentence. The words follow the calibrated probabilities; they add nothing to them.
import { kilometres, percent } from "./format";

interface Within {
  kilometres: number;
  probability: number;
}

export interface Verdict {
  /** How firmly: for the colour beside the sentence. */
  tone: "sure" | "likely" | "unsure" | "none";
  text: string;
}

/** Says the smallest distance that holds with 80 %, or else what holds with 50 %. */
export function verdict(within: readonly Within[], cannotTell: string | null): Verdict {
  if (cannotTell) return { tone: "none", text: "The service cannot tell where this was taken." };
  const rising = within.toSorted((a, b) => a.kilometres - b.kilometres);
  const sure = rising.find(({ probability }) => probability >= 0.8);
  if (sure) {
    const tone = sure.kilometres <= 25 ? "sure" : sure.kilometres <= 750 ? "likely" : "unsure";
    const word = sure.probability >= 0.95 ? "Almost certainly" : "Very likely";
    return { tone, text: `${word} within ${kilometres(sure.kilometres)} of here (${percent(sure.probability)}).` };
  }
  const even = rising.find(({ probability }) => probability >= 0.5);
  if (even) {
    return {
      tone: even.kilometres <= 200 ? "likely" : "unsure",
      text: `More likely than not within ${kilometres(even.kilometres)} of here (${percent(even.probability)}).`,
    };
  }
  return { tone: "unsure", text: "A weak guess: the true place may well be on another continent." };
}
