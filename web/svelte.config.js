export default {
  compilerOptions: {
    runes: true,
    // Elements are made one by one, not through innerHTML: the page's CSP requires Trusted Types.
    fragments: 'tree',
  },
};
