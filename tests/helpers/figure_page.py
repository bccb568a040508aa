"""What tests ask of a page with live figures, as functions of the browser."""

#: The sentence of a figure.
SAYS = "name => document.querySelector(`rv-${name} .rv-says`).textContent"
#: How high each of its controls stands.
PLACES = "name => [...document.querySelectorAll(`rv-${name} .rv-controls:first-of-type :is(input, select)`)].map(each => each.getBoundingClientRect().top + scrollY)"
#: Until what was changed is drawn.
FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
