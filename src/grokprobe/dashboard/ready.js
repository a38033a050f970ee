// Says to the server what the reader prefers: the canvas of a panel knows no media queries. Says the view in the address.
const dark = matchMedia("(prefers-color-scheme: dark)"), calm = matchMedia("(prefers-reduced-motion: reduce)");
const say = () => { scheme.value = `${dark.matches ? "dark" : "light"} ${calm.matches ? "calm" : "lively"}`; };
dark.addEventListener("change", say);
calm.addEventListener("change", say);
say();
history.replaceState({}, "", "?" + address.value);
