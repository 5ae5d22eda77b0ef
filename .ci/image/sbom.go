package main

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // SPDX 2.3 wants it beside the one that protects
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// billOfMaterials is the SBOM of an image, as SPDX. What is in the program is read from the program itself, and from no list that could differ.
func billOfMaterials(src source, p program, platform v1.Platform, list []file) ([]byte, error) {
	var binary, roots file
	for _, f := range list {
		switch f.Name {
		case p.Binary():
			binary = f
		case rootsFile:
			roots = f
		}
	}
	info, err := buildinfo.Read(bytes.NewReader(binary.Data))
	if err != nil {
		return nil, fmt.Errorf("read what %s was built of: %w", p.Name, err)
	}
	doc := spdxDocument{
		Version: "SPDX-2.3", DataLicense: "CC0-1.0", ID: "SPDXRef-DOCUMENT",
		Name: fmt.Sprintf("%s %s %s", p.Name, src.Version, platform),
		Namespace: fmt.Sprintf("https://postern.dev/spdx/%s/%s/%s-%s/%s", p.Name, src.Version, platform.OS, platform.Architecture,
			sha256Hex(binary.Data)),
		Creation: spdxCreation{Created: src.Created.Format(time.RFC3339), Creators: []string{"Tool: postern-ci-image", "Organization: Postern"}},
	}
	image := doc.add(spdxPackage{Name: p.Name + "-image", VersionInfo: src.Version, LicenseDeclared: noAssertion, PrimaryPurpose: "CONTAINER"})
	doc.DocumentDescribes = []string{image}
	doc.relate(doc.ID, "DESCRIBES", image)

	main := doc.add(spdxPackage{
		Name: info.Path, VersionInfo: src.Version, LicenseDeclared: "MIT", PrimaryPurpose: "APPLICATION", Comment: "commit " + src.Revision,
	})
	doc.relate(image, "CONTAINS", main)
	doc.relate(doc.addFile(binary, "BINARY"), "GENERATED_FROM", main)
	doc.relate(main, "DEPENDS_ON", doc.add(standardLibrary(info.GoVersion)))
	for _, dep := range info.Deps {
		doc.relate(main, "DEPENDS_ON", doc.add(goModule(dep)))
	}

	version, sum, err := rootsVersion()
	if err != nil {
		return nil, err
	}
	certificates := doc.add(spdxPackage{
		Name: rootsModule, VersionInfo: version, LicenseDeclared: "BSD-3-Clause", PrimaryPurpose: "FILE",
		Comment: "Mozilla's root certificates", ExternalRefs: moduleReferences(rootsModule, version, sum),
	})
	doc.relate(image, "CONTAINS", certificates)
	doc.relate(doc.addFile(roots, "TEXT"), "GENERATED_FROM", certificates)

	out, err := json.MarshalIndent(doc, "", "  ")
	return append(out, '\n'), err
}

func standardLibrary(goVersion string) spdxPackage {
	version := strings.TrimPrefix(goVersion, "go")
	return spdxPackage{
		Name: "stdlib", VersionInfo: version, LicenseDeclared: "BSD-3-Clause", PrimaryPurpose: "LIBRARY", Comment: "Go's standard library and runtime",
		ExternalRefs: []spdxReference{
			{"PACKAGE-MANAGER", "purl", "pkg:golang/stdlib@" + version},
			{"SECURITY", "cpe23Type", "cpe:2.3:a:golang:go:" + version + ":*:*:*:*:*:*:*"},
		},
	}
}

// goModule is the module whose code is in the program: its replacement, where it has one.
func goModule(m *debug.Module) spdxPackage {
	for m.Replace != nil {
		m = m.Replace
	}
	return spdxPackage{
		Name: m.Path, VersionInfo: m.Version, LicenseDeclared: noAssertion, PrimaryPurpose: "LIBRARY",
		ExternalRefs: moduleReferences(m.Path, m.Version, m.Sum),
	}
}

func moduleReferences(path, version, sum string) []spdxReference {
	refs := []spdxReference{{"PACKAGE-MANAGER", "purl", "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")}}
	if sum != "" {
		refs = append(refs, spdxReference{"OTHER", goSum, sum})
	}
	return refs
}

var notInID = regexp.MustCompile(`[^A-Za-z0-9.-]`)

func (d *spdxDocument) add(p spdxPackage) string {
	p.ID = fmt.Sprintf("SPDXRef-Package-%d-%s", len(d.Packages), notInID.ReplaceAllString(p.Name, "-"))
	p.DownloadLocation, p.LicenseConcluded, p.CopyrightText = noAssertion, noAssertion, noAssertion
	d.Packages = append(d.Packages, p)
	return p.ID
}

func (d *spdxDocument) addFile(f file, kind string) string {
	short := sha1.Sum(f.Data) //nolint:gosec // as above
	entry := spdxFile{
		ID: fmt.Sprintf("SPDXRef-File-%d", len(d.Files)), Name: "./" + f.Name, Types: []string{kind},
		Checksums:        []spdxChecksum{{"SHA1", hex.EncodeToString(short[:])}, {"SHA256", sha256Hex(f.Data)}},
		LicenseConcluded: noAssertion, CopyrightText: noAssertion,
	}
	d.Files = append(d.Files, entry)
	d.relate(d.ID, "DESCRIBES", entry.ID)
	return entry.ID
}

func (d *spdxDocument) relate(element, kind, related string) {
	d.Relationships = append(d.Relationships, spdxRelationship{element, kind, related})
}

func sha256Hex(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
