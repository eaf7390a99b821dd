// What the page does beside htmx. Everything here can be done without it too.

// The pages of this daemon are below /ui, and those of other sites below /sites/NAME/ui.
const ui = location.pathname.match(/^.*?\/ui(?=\/)/)[0];
const remember = (name, value) => {
  document.cookie = `${name}=${value}; path=${ui}; samesite=lax; max-age=31536000`;
};

// Tell the server in which zone the viewer is, and load the page again if it used another one.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const cookie = `cucmweb_zone=${encodeURIComponent(zone)}`;
if (zone && zone !== document.documentElement.dataset.zone && !document.cookie.includes(cookie)) {
  remember("cucmweb_zone", encodeURIComponent(zone));
  if (document.cookie.includes(cookie)) location.reload();
}

// All pages of this browser share six connections, so the server has to know which belong together.
if (!document.cookie.includes("cucmweb_browser=")) {
  remember("cucmweb_browser", crypto.getRandomValues(new Uint32Array(4)).join(""));
}

// Buttons that fill a field, such as the length of the window.
for (const hidden of document.querySelectorAll("[data-script]")) hidden.hidden = false;
for (const button of document.querySelectorAll("[data-fill]")) {
  button.addEventListener("click", () => {
    button.form.elements[button.dataset.fill].value = button.value;
  });
}

// Somebody whose session has ended has to sign in again, and comes back to this page. With any other
// error, the page keeps what it shows; htmx would put the page of the error in its place.
const refused = (event) => {
  const status = event.detail.status ?? event.detail.ctx?.response.status;
  if (status === 401) {
    const here = `/ui${location.pathname.slice(ui.length)}${location.search}`;
    location.assign(`${ui}/login?next=${encodeURIComponent(here)}`);
  }
  if (status >= 400) event.preventDefault();
};
for (const name of ["htmx:sse:error", "htmx:before:response"]) {
  document.addEventListener(name, refused);
}
