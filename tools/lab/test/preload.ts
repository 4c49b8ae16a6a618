// CommonJS SDKs require ES modules that other SDKs import too. Jest refuses to require one that is still being linked, so
// the CommonJS ones come first, each by itself.
await import('tedious');
await import('rhea-promise');
