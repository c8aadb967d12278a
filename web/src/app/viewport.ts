// The height that is really visible. On phones the keyboard covers the page instead of shrinking it; the composer has
// to stay above it.

export function followViewport(): void {
  const viewport = window.visualViewport;
  if (viewport === null) return;
  const apply = () => {
    // Zoomed in by the reader: the page keeps its size, or it would shrink under the fingers.
    if (viewport.scale > 1.01) return;
    document.documentElement.style.setProperty('--visible-height', `${viewport.height}px`);
    window.scrollTo(0, 0);
  };
  viewport.addEventListener('resize', apply);
  apply();
}
