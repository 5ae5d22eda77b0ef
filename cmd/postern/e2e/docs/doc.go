// Package docs holds the documents to their word: each fenced block of each page is run, loaded or compiled, and what a page names in `code` exists.
//
// It finds the pages by itself: every file *.md of the repository. What becomes of a block is said by its kind:
//
//	sh      run by bash -e, the blocks of a page one after the other in one shell, from the top of a fresh copy of the tree, with an empty HOME. The
//	        programs of this tree are in the PATH. A page has a network of its own with nothing in it but loopback, so ports are those of the page.
//	text    right after such a block, or with a line that ends in a colon between them: what that printed must hold these lines in this order, and …
//	        stands for anything. Elsewhere a picture.
//	yaml    read by config, or by proxy/policy if it is a policy
//	json    read by what would read it
//	go      compiled
//
// Remarks before a block, which no reader sees, say more:
//
//	<!-- until: WORDS -->       the block runs in a terminal of its own and goes on; the next begins when it has printed the words
//	<!-- with: NAME -->         once a page: what the page takes for granted (givens)
//	<!-- browser -->            the list that follows is done in a browser: "Open <URL>", "press **label**", "you see `text`"
//
// What cannot be run stands in one list, exceptions, with its reason; a test holds the list to the pages and to the tests that it names.
package docs
