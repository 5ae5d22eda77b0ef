package main

import (
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	fences      = regexp.MustCompile("(?ms)^```.*?^```|`[^`\n]*`")
	links       = regexp.MustCompile(`\]\(<?([^)>\s]+)>?[^)]*\)|(?m)^\[[^\]]+\]:\s+(\S+)`)
	blocks      = regexp.MustCompile("(?ms)^```.*?^```")
	heading     = regexp.MustCompile(`(?m)^#+\s+(.*)$`)
	headingLink = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	delimiter   = regexp.MustCompile(`^\|(?:\s*:?-+:?\s*\|)+\s*$`)
	letters     = regexp.MustCompile(`[^\p{L}\p{N}\- _]`)
)

// brokenLinks are the relative links of a document that lead nowhere.
func brokenLinks(root fs.FS, name, text string) (complaints []string) {
	for _, m := range links.FindAllStringSubmatch(fences.ReplaceAllString(text, ""), -1) {
		link := m[1] + m[2]
		if strings.Contains(link, ":") {
			if why := badAddress(link); why != "" {
				complaints = append(complaints, fmt.Sprintf("%s: links to %s, %s", name, link, why))
			}
			continue
		}
		to, anchor, _ := strings.Cut(link, "#")
		target := name
		if to != "" {
			target = path.Join(path.Dir(name), to)
		}
		if _, err := fs.Stat(root, target); err != nil {
			complaints = append(complaints, fmt.Sprintf("%s: links to %s, which is not there", name, link))
			continue
		}
		if anchor == "" || path.Ext(target) != ".md" {
			continue
		}
		if there, err := fs.ReadFile(root, target); err != nil || !slices.Contains(anchors(string(there)), anchor) {
			complaints = append(complaints, fmt.Sprintf("%s: links to %s, but there is no such heading", name, link))
		}
	}
	return complaints
}

// badAddress says what is wrong with a link out of the repository. Whether anybody answers there is not asked.
func badAddress(link string) string {
	u, err := url.Parse(link)
	switch {
	case err != nil:
		return "which is no address"
	case u.Scheme == "mailto" && strings.Contains(u.Opaque, "@"):
		return ""
	case u.Scheme == "http" && (u.Hostname() == "localhost" || u.Hostname() == "127.0.0.1"):
		return ""
	case u.Scheme != "https":
		return "which is not https"
	case !strings.Contains(u.Hostname(), ".") || u.User != nil || strings.ContainsAny(link, "\"`"):
		return "which is no address of the web"
	}
	return ""
}

// anchors are the names of a document's headings as its readers' renderers make them: of two that are the same the second ends in -1.
func anchors(text string) (all []string) {
	times := map[string]int{}
	for _, m := range heading.FindAllStringSubmatch(blocks.ReplaceAllString(text, ""), -1) {
		title := headingLink.ReplaceAllString(m[1], "$1")
		name := strings.ReplaceAll(letters.ReplaceAllString(strings.ToLower(title), ""), " ", "-")
		if n := times[name]; n > 0 {
			all = append(all, fmt.Sprintf("%s-%d", name, n))
		} else {
			all = append(all, name)
		}
		times[name]++
	}
	return all
}

// brokenTables are the rows that no reader sees as such: those of no table, as after an empty line, and those with another number of cells.
func brokenTables(name, text string) (complaints []string) {
	text = blocks.ReplaceAllStringFunc(text, func(block string) string { return strings.Repeat("\n", strings.Count(block, "\n")) })
	lines := strings.Split(text, "\n")
	columns := 0
	for i, line := range lines {
		switch {
		case !strings.HasPrefix(line, "|"):
			columns = 0
		case columns == 0 && (i+1 == len(lines) || !delimiter.MatchString(lines[i+1])):
			complaints = append(complaints, fmt.Sprintf("%s:%d: a row of no table: there is no line of dashes under it", name, i+1))
			columns = -1
		case columns == 0:
			columns = cells(line)
		case columns > 0 && cells(line) != columns:
			complaints = append(complaints, fmt.Sprintf("%s:%d: %d cells in a table of %d columns", name, i+1, cells(line), columns))
		}
	}
	return complaints
}

// cells counts those of a row; a bar behind a backslash separates none.
func cells(row string) int {
	return strings.Count(strings.ReplaceAll(strings.TrimRight(row, " "), `\|`, ""), "|") - 1
}
