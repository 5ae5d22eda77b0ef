package inject

import (
	_ "embed"
	"io"
	"strings"
)

//go:embed intro.md
var intro string

//go:embed outro.md
var outro string

// Reference writes what pods and settings may say, which is the whole of README.md.
func Reference(w io.Writer) error {
	_, err := io.WriteString(w, strings.TrimSpace(intro)+"\n\n"+annotationTable()+"\n"+strings.TrimSpace(outro)+"\n")
	return err
}

func annotationTable() string {
	var b strings.Builder
	b.WriteString("| Annotation | Value | Meaning |\n|---|---|---|\n")
	for _, a := range annotations() {
		doc := a.doc
		if a.option != "" {
			doc += " Option `" + a.option + "`."
		}
		b.WriteString("| `" + Prefix + a.key + "` | " + a.value + " | " + strings.ReplaceAll(doc, "|", `\|`) + " |\n")
	}
	return b.String()
}
