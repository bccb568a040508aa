// "Predict first": a numbered list of answers and the fold behind it become a question. The guess stays on this device.
// A button, because arrow keys choose while they move. Without JavaScript the list and the fold remain.
//
// needs: ../words ../draw
//
// The list's `data-right` has the number of the right choice. `.rv-score` lists the pages of a part; see question.py.
(() => {
  const { html, fill } = window.rvDraw;
  const words = window.rvWords.guess;
  const SIGNS = { right: "✓", wrong: "✗", none: "–" };

  // What was guessed on a page, and what was right: "3 of 1"; null where nothing is known.
  const key = (page) => `rnnvanish guess ${page}`;
  const recall = (page) => {
    try {
      const [guess, right] = (localStorage.getItem(key(page)) ?? "").split(" of ");
      return guess && right ? { guess, right } : null;
    } catch {
      return null; // a browser that keeps nothing
    }
  };
  const keep = (page, guess, right) => {
    try {
      localStorage.setItem(key(page), `${guess} of ${right}`);
    } catch {
      // then it is not remembered
    }
  };

  const question = (list) => {
    const { right } = list.dataset;
    const form = html("form", { className: "rv-predict" });
    const group = html("fieldset");
    const button = html("button", { className: "md-button", textContent: words.button });
    const answer = html("div", { className: "rv-answer" });
    const verdict = html("p", { className: "rv-right" });
    answer.setAttribute("role", "status");
    list.before(form);
    group.append(html("legend", { textContent: words.question }), list);
    form.append(group, button, answer);
    [...list.children].forEach((choice, i) => {
      const label = html("label");
      const said = html("span");
      said.append(...choice.childNodes);
      label.append(html("input", { type: "radio", name: "guess", value: i + 1, required: true }), said);
      choice.append(label);
    });
    // Right or wrong beside the guess, and the answer below it, in the place of the fold.
    const judge = (guess) => {
      const fold = document.querySelector("#predict-first ~ details.question");
      const good = guess === right;
      [...list.children].forEach((choice, i) => {
        choice.querySelector("em.rv-judgement")?.remove();
        const is = String(i + 1) === right ? "right" : String(i + 1) === guess ? "wrong" : null;
        choice.className = is ? `rv-${is}` : "";
        if (is) choice.querySelector("span").append(html("em", { className: "rv-judgement", textContent: ` ${SIGNS[is]} ${words[is]}` }));
      });
      verdict.replaceChildren(good ? words.good : fill(words.bad, { right }), html("small", { textContent: words.kept }));
      if (!fold.hidden) answer.append(verdict, ...[...fold.childNodes].filter((node) => node.nodeName !== "SUMMARY"));
      fold.hidden = true;
      button.textContent = words.again;
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const guess = form.elements.guess.value;
      keep(location.pathname, guess, right);
      judge(guess);
      count();
    });
    const kept = recall(location.pathname);
    if (kept && list.children[kept.guess - 1]) {
      form.elements.guess.value = kept.guess;
      addEventListener("DOMContentLoaded", () => judge(kept.guess)); // the fold comes after this script
    }
  };

  // The score of a part, as soon as there is a guess in it.
  const count = () => {
    const score = document.querySelector(".rv-score");
    if (!score) return;
    const found = [...score.querySelectorAll("a")].map((link) => [link, recall(new URL(link.href).pathname)]);
    const made = found.filter(([, guess]) => guess);
    for (const [link, guess] of found) {
      const is = guess ? (guess.guess === guess.right ? "right" : "wrong") : "none";
      link.parentElement.className = `rv-${is}`;
      link.nextSibling?.remove();
      link.after(html("em", { className: "rv-judgement", textContent: ` ${SIGNS[is]} ${words[is]}` }));
    }
    const good = made.filter(([, { guess, right }]) => guess === right).length;
    score.querySelector("p").textContent = fill(made.length < found.length ? words.score : words.whole, {
      good, made: made.length, all: found.length,
    });
    score.hidden = !made.length;
  };

  const list = document.querySelector("#predict-first ~ ol[data-right]");
  if (list) question(list);
  addEventListener("DOMContentLoaded", count); // the score stands at the end of the page
})();
