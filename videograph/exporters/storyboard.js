"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const decimals = Number(document.body.dataset.decimals);
  const [video, still, player, plot, tip] = ["video", "still", "player", "plot", "tip"].map($);
  const cards = [...document.querySelectorAll(".card")];
  const AHEAD = 0.001; // seconds into a frame, so that rounding never shows the one before

  let position = 0; // seconds; the video's own place, or what was last asked for without one
  let missing = false;
  let summaryMode = false;
  let seekingTo = null; // our own seek under way: it does not end the summary mode
  let current = -1; // index of the chosen shot on the screen

  // ---- times and places ----

  const timecode = (seconds, digits = decimals) => {
    const units = 10 ** digits;
    const total = Math.floor(seconds * units + 1e-6);
    const whole = Math.floor(total / units);
    const pad = (n) => String(n).padStart(2, "0");
    const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
    const text = h ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
    return digits ? `${text}.${String(total % units).padStart(digits, "0")}` : text;
  };

  /** Index of the last of the rising `values` that is not above `value`; -1 before the first. */
  const lastAt = (values, value) => {
    let [low, high] = [0, values.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (values[middle] <= value) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  };
  const nearest = (values, value) => {
    const i = Math.max(0, lastAt(values, value));
    return i + 1 < values.length && values[i + 1] - value < value - values[i] ? i + 1 : i;
  };

  const starts = data.chosen.map((span) => span[0]);
  const spanStarts = data.spans.map((span) => span[0]);
  const chosenAt = (seconds) => {
    const i = lastAt(starts, seconds + AHEAD);
    return i >= 0 && seconds < data.chosen[i][1] ? i : -1;
  };
  const thumbnailTimes = data.thumbnails.map((thumbnail) => thumbnail[0]);
  const picture = (seconds) =>
    thumbnailTimes.length
      ? `data:image/jpeg;base64,${data.thumbnails[nearest(thumbnailTimes, seconds)][1]}`
      : null;
  const place = (seconds) => `${(100 * Math.min(1, Math.max(0, seconds / data.duration))).toFixed(3)}%`;

  // ---- what is on the screen ----

  const show = () => {
    $("playhead").style.left = place(position);
    plot.setAttribute("aria-valuenow", position.toFixed(1));
    plot.setAttribute("aria-valuetext", timecode(position));
    const index = chosenAt(position);
    if (index !== current) mark(index);
  };

  const mark = (index) => {
    cards[current]?.classList.remove("now");
    cards[current]?.removeAttribute("aria-current");
    current = index;
    $("current").hidden = index < 0;
    drawArcs(index);
    if (index < 0) return;
    const [start, end] = data.chosen[index];
    cards[index].classList.add("now");
    cards[index].setAttribute("aria-current", "true");
    $("current").style.left = place(start);
    $("current").style.width = place(end - start);
    $("now-label").textContent = `Shot ${index + 1} of ${data.chosen.length}`;
    $("now-time").textContent = `${timecode(start)} – ${timecode(end)}`;
    $("now-why").textContent = cards[index].querySelector(".why").textContent;
    $("now-ties-label").textContent = "Strongest ties in the graph";
    showTies([...cards[index].querySelectorAll(".tie")].map((tie) => tie.cloneNode(true)));
  };

  /** The edges of the shot on the screen, bent over the curve; the heavier, the thicker. */
  const drawArcs = (index) => {
    const ties = index < 0 ? [] : [...cards[index].querySelectorAll(".tie")];
    const heaviest = Math.max(...ties.map((tie) => Number(tie.dataset.weight)));
    const arcs = ties.map((tie) => {
      const [from, to] = [data.keys[index], Number(tie.dataset.seconds)].map((t) => (1000 * t) / data.duration);
      const arc = document.createElementNS("http://www.w3.org/2000/svg", "path");
      const [rx, ry] = [Math.abs(to - from) / 2, 12 + 85 * Math.sqrt(Math.abs(to - from) / 1000)];
      arc.setAttribute("d", `M${Math.min(from, to)} 100A${rx} ${ry} 0 0 1 ${Math.max(from, to)} 100`);
      arc.setAttribute("stroke-width", (0.75 + (1.5 * Number(tie.dataset.weight)) / heaviest).toFixed(2));
      return arc;
    });
    $("arcs").replaceChildren(...arcs);
  };

  const showTies = (ties) => {
    const items = ties.map((tie) => {
      const item = document.createElement("li");
      item.append(tie);
      return item;
    });
    $("now-list").replaceChildren(...items);
    $("now-ties").hidden = !items.length;
    dress($("now-list"));
  };

  /** Before anything plays: the chosen shots with the highest scores. */
  const showBest = () => {
    const rank = (card) => Number(card.dataset.rank);
    const best = [...cards].sort((a, b) => rank(a) - rank(b)).slice(0, 4);
    video.poster = best[0].querySelector(".frame img")?.src ?? "";
    showTies(
      best.map((card) => {
        const tie = document.createElement("button");
        const frame = card.querySelector(".frame");
        tie.type = "button";
        tie.className = "tie";
        tie.dataset.seconds = frame.dataset.seconds;
        tie.setAttribute("aria-label", frame.getAttribute("aria-label"));
        tie.append(card.querySelector(".span").textContent);
        return tie;
      }),
    );
  };

  // ---- playing ----

  const play = () => video.play().catch(() => {}); // a browser may ask for a click first

  const seek = (seconds, { andPlay = false, keepMode = false } = {}) => {
    if (!keepMode) setMode(false);
    position = Math.min(Math.max(0, seconds), data.duration);
    if (missing) showStill();
    else {
      seekingTo = position;
      video.currentTime = position + AHEAD;
      if (andPlay) play();
    }
    show();
  };

  const setMode = (on) => {
    summaryMode = on;
    $("play").setAttribute("aria-pressed", String(on));
    $("play").querySelector("span").textContent = on ? "Pause" : "Play the summary";
  };

  const playSummary = () => {
    if (summaryMode && !video.paused) return video.pause();
    const here = lastAt(spanStarts, position + AHEAD);
    const inside = here >= 0 && position < data.spans[here][1] - 0.05;
    const ended = !inside && here === data.spans.length - 1;
    setMode(true);
    if (!inside) seek(data.spans[ended ? 0 : here + 1][0], { keepMode: true });
    play();
  };

  /** In the summary mode, leap from the end of a span to the next one. */
  const leap = () => {
    if (!summaryMode || video.paused || video.seeking) return;
    const here = lastAt(spanStarts, position + 2 * AHEAD);
    if (here >= 0 && position < data.spans[here][1]) return;
    if (here + 1 < data.spans.length) seek(data.spans[here + 1][0], { keepMode: true });
    else {
      setMode(false);
      video.pause();
    }
  };

  const step = (direction) => {
    const here = lastAt(starts, position + 2 * AHEAD);
    const inside = current >= 0;
    const target = direction > 0 ? here + 1 : inside ? here - 1 : here;
    const index = Math.min(Math.max(0, target), starts.length - 1);
    seek(starts[index], { keepMode: summaryMode });
  };

  const follow = () => {
    if (video.readyState > 0 && !video.seeking) position = video.currentTime;
    leap();
    show();
    if (!video.paused && !video.ended) requestAnimationFrame(follow);
  };

  video.addEventListener("play", () => {
    if (summaryMode) setMode(true);
    requestAnimationFrame(follow);
    dock();
  });
  video.addEventListener("pause", () => {
    if (!summaryMode) return;
    $("play").setAttribute("aria-pressed", "false");
    $("play").querySelector("span").textContent = "Play the summary";
  });
  video.addEventListener("timeupdate", () => {
    if (video.paused || document.hidden) follow();
  });
  video.addEventListener("seeked", () => {
    const ours = seekingTo !== null && Math.abs(video.currentTime - seekingTo) < 0.5;
    if (!ours) setMode(false);
    seekingTo = null;
    follow();
  });

  // ---- without the video ----

  const showStill = () => {
    const index = chosenAt(position);
    const image = index >= 0 ? cards[index].querySelector(".frame img") : null;
    const source = image ? image.src : picture(position);
    still.hidden = !source;
    if (source) still.src = source;
  };
  const giveUp = () => {
    if (missing) return;
    missing = true;
    $("missing").hidden = false;
    video.hidden = true;
    $("play").hidden = true;
    position = Math.max(position, starts[0]);
    showStill();
    show();
  };
  video.addEventListener("error", giveUp);
  if (video.error) giveUp();

  // ---- the player follows the reader ----

  let stageSeen = true;
  const dock = () => player.classList.toggle("docked", !stageSeen && !video.paused);
  new IntersectionObserver(([entry]) => {
    stageSeen = entry.isIntersecting;
    dock();
  }).observe($("stage"));
  $("undock").addEventListener("click", () => {
    video.pause();
    player.classList.remove("docked");
  });

  // ---- buttons ----

  $("play").addEventListener("click", playSummary);
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  const jump = (event) => {
    const button = event.target.closest("button[data-seconds]");
    if (button) seek(Number(button.dataset.seconds), { andPlay: button.classList.contains("frame") });
  };
  $("cards").addEventListener("click", jump);
  $("now-list").addEventListener("click", jump);
  const objects = $("objects");
  const showObjects = () => document.body.classList.toggle("show-objects", objects.checked);
  objects.addEventListener("change", showObjects);
  showObjects(); // a browser may remember the box

  // ---- the curve ----

  const secondsAt = (event) => {
    const box = plot.getBoundingClientRect();
    return (data.duration * Math.min(Math.max(0, event.clientX - box.left), box.width)) / box.width;
  };
  const point = (event) => {
    const seconds = secondsAt(event);
    const shot = Math.max(0, lastAt(data.shots, seconds));
    const chosen = chosenAt(seconds) >= 0 ? "in the summary" : "not chosen";
    const score = data.scores[nearest(data.seconds, seconds)];
    const source = picture(seconds);
    $("tip-image").hidden = !source;
    if (source) $("tip-image").src = source;
    $("tip-time").textContent = timecode(seconds, Math.max(1, decimals));
    $("tip-text").textContent =
      `score ${score.toFixed(2)}, shot ${shot + 1} of ${data.shots.length} ` +
      `(${data.shot_scores[shot].toFixed(2)}, ${chosen})`;
    tip.hidden = $("cursor").hidden = false;
    $("cursor").style.left = place(seconds);
    const room = plot.clientWidth - tip.offsetWidth;
    const left = event.clientX - plot.getBoundingClientRect().left - tip.offsetWidth / 2;
    tip.style.left = `${Math.max(0, Math.min(room, left))}px`;
  };
  const leave = () => {
    tip.hidden = $("cursor").hidden = true;
  };
  plot.addEventListener("pointermove", (event) => {
    point(event);
    if (event.buttons === 1) seek(secondsAt(event));
  });
  plot.addEventListener("pointerleave", leave);
  plot.addEventListener("pointercancel", leave);
  plot.addEventListener("click", (event) => {
    point(event);
    seek(secondsAt(event));
  });
  plot.addEventListener("keydown", (event) => {
    const far = Math.max(5, data.duration / 20);
    const moves = {
      ArrowRight: () => seek(position + 1),
      ArrowUp: () => seek(position + 1),
      ArrowLeft: () => seek(position - 1),
      ArrowDown: () => seek(position - 1),
      PageUp: () => seek(position + far),
      PageDown: () => seek(position - far),
      Home: () => seek(0),
      End: () => seek(data.duration),
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  });

  // ---- small pictures, made when their card comes near: a long video has thousands ----

  const dress = (card) => {
    for (const tie of card.querySelectorAll(".tie")) {
      const source = picture(Number(tie.dataset.seconds));
      if (!source || tie.querySelector("img")) continue;
      const image = new Image();
      image.alt = "";
      image.src = source;
      tie.prepend(image);
    }
  };
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries.filter((e) => e.isIntersecting)) {
        dress(entry.target);
        near.unobserve(entry.target);
      }
    },
    { rootMargin: "800px" },
  );
  cards.forEach((card) => near.observe(card));
  addEventListener("beforeprint", () => cards.forEach(dress));

  // ---- light and dark ----

  const theme = $("theme");
  const root = document.documentElement;
  const systemDark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches);
  const nameTheme = () => (theme.textContent = isDark() ? "Light" : "Dark");
  const memory = (() => {
    try {
      return localStorage;
    } catch {
      return null; // some browsers keep nothing for files
    }
  })();
  const kept = memory?.getItem("videograph-theme");
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    memory?.setItem("videograph-theme", root.dataset.theme);
    nameTheme();
  });
  systemDark.addEventListener("change", nameTheme);
  theme.hidden = false;
  nameTheme();
  showBest();
  show();
})();
