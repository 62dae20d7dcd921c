const read = name => JSON.parse(document.getElementById(name).textContent);
const figures = read("figures"), config = read("config"), views = [];
const settings = {config, actions: false, ast: true, defaultStyle: false, renderer: "svg", tooltip: {theme: "own"}};
const draw = place => vegaEmbed(place, figures[place.dataset.figure], {...settings, mode: "vega-lite"}).then(done => {
  views.push({view: done.view, labels: figures[place.dataset.figure].usermeta.labels});
});
const pick = button => {
  const chosen = button.getAttribute("aria-pressed") !== "true" ? button.dataset.label : "";
  for (const other of document.querySelectorAll(".legend button"))
    other.setAttribute("aria-pressed", String(other.dataset.label === chosen));
  for (const {view, labels} of views) view.signal("picked", labels.includes(chosen) ? chosen : "").run();
};
for (const button of document.querySelectorAll(".legend button")) button.addEventListener("click", () => pick(button));
Promise.all([...document.querySelectorAll("div.plot")].map(draw)).then(() => {
  document.documentElement.dataset.drawn = "yes";
});
