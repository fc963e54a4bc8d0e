/** The bars: one row a class, and the winner in large. */

import { make } from './elements';

interface Row {
  readonly item: HTMLLIElement;
  readonly bar: HTMLElement;
  readonly percent: HTMLElement;
}

export class Scores {
  readonly #rows: readonly Row[];
  readonly #winner: HTMLElement;
  readonly #sentence: HTMLElement;
  readonly #classes: readonly string[];

  constructor(list: HTMLElement, winner: HTMLElement, sentence: HTMLElement, classes: readonly string[]) {
    this.#winner = winner;
    this.#sentence = sentence;
    this.#classes = classes;
    this.#rows = classes.map((name) => {
      const bar = make('span', { className: 'bar' });
      const percent = make('span', { className: 'percent' });
      const track = make('span', { className: 'track' }, bar);
      return {
        item: make('li', {}, make('span', { className: 'class', text: name }), track, percent),
        bar,
        percent,
      };
    });
    list.replaceChildren(...this.#rows.map((row) => row.item));
    this.clear();
  }

  clear(): void {
    this.#paint(this.#classes.map(() => 0));
    this.#winner.textContent = '?';
    this.#sentence.textContent = 'Draw a digit, or take an example.';
  }

  show(scores: ArrayLike<number>): void {
    const shares = Array.from(scores);
    const best = shares.indexOf(Math.max(...shares));
    this.#paint(shares, best);
    const name = this.#classes[best] ?? '?';
    this.#winner.textContent = name;
    this.#sentence.textContent = `${percentOf(shares[best] ?? 0)} sure`;
  }

  #paint(shares: readonly number[], best = -1): void {
    for (const [position, { item, bar, percent }] of this.#rows.entries()) {
      const share = shares[position] ?? 0;
      bar.style.transform = `scaleX(${share})`;
      percent.textContent = percentOf(share);
      item.classList.toggle('best', position === best);
    }
  }
}

function percentOf(share: number): string {
  // Never "100.0 %" for less than certainty.
  const percent = share > 0.999 && share < 1 ? 99.9 : share * 100;
  return `${percent.toFixed(1)} %`;
}
