package policy

import "cmp"

// Bounds of what is read, far above any policy that a person keeps in order.
const (
	maxFileSize  = 1 << 20
	maxDocuments = 64
	maxProblems  = 100
)

// Parse reads all files as one policy, in whatever order they come: postern's own documents and Nais Application manifests, several in one
// file or not. What the files leave open comes from cluster (NAIS_CLUSTER_NAME), and tokenXClientID (TOKEN_X_CLIENT_ID) is what the app's
// name must agree with; either may be empty.
//
// A policy that may not be meant as it is written is an error (S-25): it lists all problems, a line each, with file, line and key. Warnings
// have the same form and are about rules that admit nobody. Parse does no I/O, and equal input has equal answers.
func Parse(files []File, cluster, tokenXClientID string) (doc *Document, warnings []string, err error) {
	a := assembly{given: map[string]value{}}
	if len(files) == 0 {
		a.problem(place{}, "no policy file is given")
	}
	for i, file := range files {
		a.file(source{notes: &a.notes, order: i, name: file.Name}, file.Data)
	}
	a.settleApp(cluster, tokenXClientID)
	a.settleRules(cluster)
	if err := a.err(); err != nil {
		return nil, a.lines(a.warnings), err
	}
	return &a.doc, a.lines(a.warnings), nil
}

func (a *assembly) file(s source, data []byte) {
	if len(data) > maxFileSize {
		a.problem(s.at(0), "is larger than 1 MiB")
		return
	}
	nodes, wrong := decodeYAML(data)
	for _, node := range nodes {
		v := value{source: s, node: node}
		switch kind := kindOf(node); kind {
		case "postern/v1":
			a.readOwn(v)
		case "nais.io/v1alpha1 Application":
			v.lenient = true
			a.readManifest(v)
		default:
			v.problem("is a document of another kind (%s); a policy has apiVersion postern/v1, or nais.io/v1alpha1 with kind Application",
				cmp.Or(quoteOdd(kind), "it has no apiVersion"))
		}
	}
	switch {
	case wrong != nil:
		a.problem(s.at(wrong.line), "%s", wrong.text)
	case len(nodes) == 0:
		a.problem(s.at(0), "is empty")
	}
}
