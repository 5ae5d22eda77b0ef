// Package pages writes what a person sees when Postern itself answers: refusals, trouble, and the steps around login and logout.
//
// It owns the words (texts/*.json, one file per language), the one template, the style sheet, the choice of language, and the headers
// that keep such a page harmless: nothing is loaded, nothing runs, nobody frames it, nothing of it is stored.
//
// It does not own the decision what went wrong, nor whether a page or JSON is the right answer, nor WWW-Authenticate, Allow or cookies:
// the proxy sets those headers before it calls [Pages.HTML] or [Pages.JSON].
//
// Nothing that came with the request is shown, neither its address nor a provider's error text; only the request id is, and that only in
// the characters that S-37 allows (GO-2026-4861 and CVE-2023-52430 are pages that did otherwise). Link addresses are the caller's:
// they must come from configuration or from a checked redirect target.
//
// [New] reads and checks everything that is embedded; afterwards a [Pages] never changes and is safe for concurrent use.
package pages
