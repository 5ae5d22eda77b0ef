package devidp

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStoreIsBoundedAndForgets(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	s := newStore[int](time.Minute, 3)
	for i := range 5 {
		s.put(strconv.Itoa(i), i, now.Add(time.Duration(i)*time.Second))
	}
	var kept []string
	s.each(func(key string, _ int) { kept = append(kept, key) })
	if diff := cmp.Diff([]string{"2", "3", "4"}, kept); diff != "" {
		t.Errorf("kept:\n%s", diff)
	}
	if _, ok := s.get("2", now.Add(62*time.Second)); ok {
		t.Error("an entry outlived its time")
	}
	if v, ok := s.take("3", now.Add(4*time.Second)); !ok || v != 3 {
		t.Errorf("took %d, %v", v, ok)
	}
	if _, ok := s.take("3", now.Add(4*time.Second)); ok {
		t.Error("took twice")
	}
	s.put("new", 9, now.Add(time.Hour))
	if len(s.items) != 1 || s.order.Len() != 1 {
		t.Errorf("expired entries stay: %d items, %d in order", len(s.items), s.order.Len())
	}
}

// Every number that the code refuses with has its words.
func TestRefusalsAreInTheCatalogue(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	call := regexp.MustCompile(`refuse(?:Grant)?\((\d+)\)`)
	found := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range call.FindAllStringSubmatch(string(raw), -1) {
			found++
			number, _ := strconv.Atoi(match[1])
			if _, ok := catalogue[number]; !ok && !strings.HasSuffix(file, "_test.go") {
				t.Errorf("%s refuses with %d, which has no words", file, number)
			}
		}
	}
	if found < 40 {
		t.Errorf("only %d refusals found", found)
	}
	for number, e := range catalogue {
		if e.status < 400 || e.code == "" || e.text == "" {
			t.Errorf("%d is incomplete", number)
		}
	}
}

// The same for the codes of Maskinporten.
func TestCodesOfMaskinportenAreInTheCatalogue(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	for _, file := range []string{"grant_maskinporten.go", "errors_maskinporten.go"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range regexp.MustCompile(`MP-\d+`).FindAllString(string(raw), -1) {
			found[code] = true
			if e, ok := maskinportenCatalogue[code]; !ok || e.status != 400 || e.code == "" || e.text == "" {
				t.Errorf("%s refuses with %s, which has no words", file, code)
			}
		}
	}
	if len(found) != len(maskinportenCatalogue) {
		t.Errorf("%d codes found", len(found))
	}
}

func TestSecretsStayOutOfPrints(t *testing.T) {
	t.Parallel()
	cfg := Config{Clients: []ClientConfig{{ID: "a", Secret: "hush", JWKS: []byte(`"hush"`)}}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if got := fmt.Sprintf(format, cfg); strings.Contains(got, "hush") || strings.Contains(got, "104, 117") {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestDefaultPersonasAreSound(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, who := range DefaultPersonas() {
		for _, unique := range []string{who.ID, who.ObjectID, who.Username, who.NAVident, who.PID} {
			if unique != "" && seen[unique] {
				t.Errorf("%s is there twice", unique)
			}
			seen[unique] = true
		}
		if who.Name == "" || who.Description == "" || (who.PID == "" && !guid.MatchString(who.ObjectID)) {
			t.Errorf("%s is incomplete", who.ID)
		}
		if who.PID != "" && (!identityNumber.MatchString(who.PID) || !checks(who.PID)) {
			t.Errorf("%s: %s is no synthetic national identity number", who.ID, who.PID)
		}
	}
}

// checks says whether both check digits of a national identity number are right.
func checks(pid string) bool {
	for _, weights := range [][]int{{3, 7, 6, 1, 8, 9, 4, 5, 2, 1}, {5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1}} {
		sum := 0
		for i, weight := range weights {
			sum += weight * int(pid[i]-'0')
		}
		if sum%11 != 0 {
			return false
		}
	}
	return true
}
