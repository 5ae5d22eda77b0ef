package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// referred finds the SBOM of an image the way a registry's client does: among the artifacts whose subject is the index.
func referred(t *testing.T, dir string, index v1.ImageIndex, image v1.Descriptor, referrers []v1.Descriptor) []byte {
	t.Helper()
	path, err := layout.FromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	digest, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	size, err := index.Size()
	if err != nil {
		t.Fatal(err)
	}
	var found [][]byte
	for _, d := range referrers {
		raw := readBlob(t, path, d)
		artifact, err := v1.ParseManifest(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		subject := artifact.Subject
		if subject == nil || subject.Digest != digest || subject.Size != size || artifact.ArtifactType != "application/spdx+json" || len(artifact.Layers) != 1 {
			t.Errorf("an artifact that does not refer to the index %s: %s", digest, raw)
			continue
		}
		if config := readBlob(t, path, artifact.Config); string(config) != "{}" {
			t.Errorf("the artifact's configuration is %q", config)
		}
		if artifact.Annotations["dev.postern.image.digest"] == image.Digest.String() {
			found = append(found, readBlob(t, path, artifact.Layers[0]))
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d SBOMs of %s", len(found), image.Platform)
	}
	return found[0]
}

// readBlob reads what a descriptor describes, and holds it to that.
func readBlob(t *testing.T, path layout.Path, d v1.Descriptor) []byte {
	t.Helper()
	data, err := path.Bytes(d.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if got, size, err := v1.SHA256(bytes.NewReader(data)); err != nil || got != d.Digest || size != d.Size {
		t.Errorf("a blob of %s and %d bytes is described as %s and %d (%v)", got, size, d.Digest, d.Size, err)
	}
	return data
}

func inspectSBOM(t *testing.T, p program, platform v1.Platform, raw []byte, content map[string][]byte) {
	t.Helper()
	for _, complaint := range checkSPDX(raw) {
		t.Error(complaint)
	}
	var doc spdxDocument
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Fatal(err)
	}
	if want := p.Name + " v1.2.3-test.1 " + platform.String(); doc.Name != want {
		t.Errorf("it is called %q and not %q", doc.Name, want)
	}
	info, err := buildinfo.Read(bytes.NewReader(content[p.Binary()]))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"stdlib": strings.TrimPrefix(info.GoVersion, "go") + " ", p.Name + "-image": "v1.2.3-test.1 ", info.Path: "v1.2.3-test.1 "}
	for _, m := range info.Deps {
		if m.Replace != nil {
			t.Errorf("%s is replaced: a release is built of what its go.mod names", m.Path)
		}
		if !strings.HasPrefix(m.Sum, "h1:") {
			t.Errorf("%s has no sum", m.Path)
		}
		want[m.Path] = m.Version + " " + m.Sum
	}
	if len(info.Deps) < 5 {
		t.Errorf("%d modules only", len(info.Deps))
	}
	version, sum, err := rootsVersion()
	if err != nil {
		t.Fatal(err)
	}
	want[rootsModule] = version + " " + sum
	got := map[string]string{}
	for _, entry := range doc.Packages {
		reference := ""
		for _, r := range entry.ExternalRefs {
			if r.Type == goSum {
				reference = r.Locator
			}
		}
		got[entry.Name] = entry.VersionInfo + " " + reference
	}
	if !maps.Equal(got, want) {
		t.Errorf("the SBOM names\n%v\nand the program\n%v", got, want)
	}
	for _, name := range []string{p.Binary(), rootsFile} {
		sum := sha256.Sum256(content[name])
		if !slices.ContainsFunc(doc.Files, func(f spdxFile) bool {
			return f.Name == "./"+name && slices.Contains(f.Checksums, spdxChecksum{"SHA256", hex.EncodeToString(sum[:])})
		}) {
			t.Errorf("%s is not in it with its checksum: %v", name, doc.Files)
		}
	}
}

var (
	spdxID   = regexp.MustCompile(`^SPDXRef-[A-Za-z0-9.-]+$`)
	required = map[string][]string{ // clauses 6 to 8 and 11 of SPDX 2.3
		"":              {"spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "files", "relationships"},
		"packages":      {"SPDXID", "name", "versionInfo", "downloadLocation", "filesAnalyzed", "licenseConcluded", "licenseDeclared", "copyrightText"},
		"files":         {"SPDXID", "fileName", "checksums"},
		"relationships": {"spdxElementId", "relationshipType", "relatedSpdxElement"},
	}
)

// checkSPDX reads the JSON without our types, as a stranger does.
func checkSPDX(raw []byte) (complaints []string) {
	complain := func(parts ...string) { complaints = append(complaints, strings.Join(parts, " ")) }
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		return []string{err.Error()}
	}
	missing := func(where string, object map[string]any) {
		for _, name := range required[where] {
			if value, there := object[name]; !there || value == "" || value == nil {
				complain(where, "without", name)
			}
		}
	}
	missing("", doc)
	if doc["spdxVersion"] != "SPDX-2.3" || doc["dataLicense"] != "CC0-1.0" || doc["SPDXID"] != "SPDXRef-DOCUMENT" {
		complain("not a document of SPDX 2.3")
	}
	namespace, _ := doc["documentNamespace"].(string)
	if u, err := url.Parse(namespace); err != nil || !u.IsAbs() || strings.Contains(namespace, "#") {
		complain("the namespace is", namespace)
	}
	creation, _ := doc["creationInfo"].(map[string]any)
	created, _ := creation["created"].(string)
	if _, err := time.Parse("2006-01-02T15:04:05Z", created); err != nil || creation["creators"] == nil {
		complain("created", created, "by nobody, or at no time")
	}
	ids := map[any]bool{"SPDXRef-DOCUMENT": true}
	for _, where := range []string{"packages", "files"} {
		list, _ := doc[where].([]any)
		for _, entry := range list {
			object, _ := entry.(map[string]any)
			missing(where, object)
			id, _ := object["SPDXID"].(string)
			if !spdxID.MatchString(id) || ids[id] {
				complain(where, "with the identifier", id)
			}
			ids[id] = true
		}
	}
	related, described := map[any]bool{}, false
	list, _ := doc["relationships"].([]any)
	for _, entry := range list {
		object, _ := entry.(map[string]any)
		missing("relationships", object)
		from, to := object["spdxElementId"], object["relatedSpdxElement"]
		if !ids[from] || !ids[to] {
			complain("a relationship with something that is not there")
		}
		related[from], related[to] = true, true
		described = described || object["relationshipType"] == "DESCRIBES"
	}
	if !described {
		complain("nothing is described")
	}
	for id := range ids {
		if name, _ := id.(string); !related[id] {
			complain(name, "has no relationship")
		}
	}
	return complaints
}

func TestTheCheckOfSBOMsFindsWhatIsMissing(t *testing.T) {
	t.Parallel()
	if got := checkSPDX([]byte(`{}`)); len(got) < len(required[""]) {
		t.Errorf("an empty document gets only %q", got)
	}
	doc := spdxDocument{ID: "SPDXRef-DOCUMENT", Version: "SPDX-2.3", DataLicense: "CC0-1.0", Name: "n", Namespace: "https://a.example/b"}
	doc.Creation = spdxCreation{"2026-01-02T03:04:05Z", []string{"Tool: t"}}
	id := doc.add(spdxPackage{Name: "a/b", VersionInfo: "v1", LicenseDeclared: "MIT"})
	doc.addFile(file{Name: "x"}, "TEXT")
	doc.relate(doc.ID, "DESCRIBES", id)
	check := func() []string {
		raw, err := json.Marshal(doc)
		if err != nil {
			t.Fatal(err)
		}
		return checkSPDX(raw)
	}
	if got := check(); len(got) > 0 {
		t.Errorf("a good document gets %q", got)
	}
	doc.add(spdxPackage{Name: "nobody's"})
	doc.relate(id, "DEPENDS_ON", "SPDXRef-Nothing")
	want := []string{
		"packages without versionInfo", "packages without licenseDeclared", "a relationship with something that is not there",
		"SPDXRef-Package-1-nobody-s has no relationship",
	}
	if got := check(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
