// A figure to drag, over curves that were computed when the page was built.
// needs: ../words ../draw ../address ../chart
//
//   <rv-slider id="radius" label="Spectral radius" unit="" value="1">
//     What stays to be seen without JavaScript: a sentence, a figure.
//     <template>{"values": [0.9, 1.0], "x": [0, 1, 2], "xlabel": "steps back", "ylabel": "gradient left", "log": true,
//       "series": [{"name": "measured", "y": [[1, 0.9, 0.81], [1, 1, 1]]}],
//       "says": ["After 2 steps 81 % is left.", "All of it is left."]}</template>
//   </rv-slider>
//
// `value` is the index to start with; `y` holds one curve per value, or one curve that stays; null leaves a gap.
"use strict";

(() => {
  const { svg, html, stroke, chart, whole, csv, reveal, address, follow, fill } = window.rvDraw;
  const words = window.rvWords.page;

  class Slider extends HTMLElement {
    connectedCallback() {
      if (this.input || !whole(this)) return;
      this.data = JSON.parse(this.querySelector("template").content.textContent);
      const { values, series } = this.data;
      this.id ||= `slider-${[...document.querySelectorAll("rv-slider")].indexOf(this) + 1}`;
      const id = `${this.id}-input`;
      const label = html("label", { htmlFor: id });
      this.output = html("output", { htmlFor: id });
      this.output.setAttribute("aria-live", "off"); // the sentence speaks; the value is the slider's own
      label.append(`${this.getAttribute("label")}: `, this.output);
      this.input = html("input", { id, type: "range", min: 0, max: values.length - 1, step: 1 });
      this.arrive();
      const legend = html("ul", { className: "rv-legend" });
      series.forEach(({ name }, i) => {
        const item = html("li");
        const line = svg("svg", { viewBox: "0 0 28 10", "aria-hidden": "true" });
        line.append(svg("path", { class: "rv-curve", d: "M0 5H28", ...stroke(i) }));
        item.append(line, name);
        legend.append(item);
      });
      this.chart = svg("svg", { role: "img" });
      this.sentence = html("p", { className: "rv-sentence" });
      this.sentence.setAttribute("aria-live", "polite");
      this.replaceChildren(label, this.input, legend, this.chart, this.sentence);
      if (this.fromAddress() !== null) reveal(this);
      this.input.addEventListener("input", () => (this.show(), this.toAddress()));
      follow(this, `${this.id}=`);
      new ResizeObserver(() => this.draw()).observe(this);
      this.show();
    }

    show() {
      const i = Number(this.input.value);
      const unit = this.getAttribute("unit");
      const value = `${this.data.values[i]}${unit ? ` ${unit}` : ""}`;
      this.output.value = value;
      this.sentence.textContent = this.data.says?.[i] ?? "";
      this.input.setAttribute("aria-valuetext", value);
      this.chart.setAttribute(
        "aria-label",
        fill(words.chart, {
          y: this.data.ylabel, x: this.data.xlabel, label: this.getAttribute("label"), value, sentence: this.sentence.textContent,
        }),
      );
      this.draw();
    }

    // The curves at the place of the slider; axes hold for all places, so that only the curves move.
    draw() {
      const { series, ...rest } = this.data;
      const curves = series.map(({ name, y }) => ({ name, all: y.flat(2), y: Array.isArray(y[0]) ? y[Number(this.input.value)] : y }));
      chart(this.chart, { ...rest, series: curves });
    }

    // The state is in the address, #id=value, so that a link shows the same picture.
    fromAddress() {
      const state = new URLSearchParams(location.hash.slice(1)).get(this.id);
      const i = this.data.values.map(String).indexOf(state);
      return i < 0 ? null : i;
    }

    arrive() {
      const before = this.input.value;
      this.input.value = this.fromAddress() ?? this.getAttribute("value") ?? 0;
      if (this.input.value === before) return false;
      if (this.chart) this.show();
      return true;
    }

    toAddress() {
      history.replaceState(history.state, "", this.address());
    }

    address() {
      return address(`${this.id}=`, [`${this.id}=${this.data.values[this.input.value]}`]);
    }

    // All that the figure can show, as CSV: a row for each point of each place of the slider.
    numbers() {
      const { values, x, series, xlabel, ylabel } = this.data;
      const rows = [[this.getAttribute("label"), "series", xlabel, ylabel]];
      values.forEach((value, i) => {
        for (const { name, y } of series)
          (Array.isArray(y[0]) ? y[i] : y).forEach((each, k) => rows.push([value, name, x[k], each]));
      });
      return csv(rows);
    }
  }
  customElements.define("rv-slider", Slider);
})();
