// Follow reads a live log with the packages that its formats come from, golang.org/x/mod/sumdb/note and tlog.
//
//	follow <log address> <vkey> [API key]
//
// For each line on standard input it looks once: it verifies the checkpoint, reads every tile through
// tlog.TileHashReader, proves every entry and the growth from every size it was told before, and prints one
// line of JSON. The first thing that does not hold ends it with status 1.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const (
	height = 8
	width  = 1 << height
)

type follower struct {
	address  string
	apiKey   string
	verifier note.Verifier
	trees    []tlog.Tree
	tiles    map[string][]byte
	requests int
}

type report struct {
	Size        int64   `json:"size"`
	Inclusions  int     `json:"inclusions"`
	Consistency []int64 `json:"consistency"`
	FullTiles   int     `json:"fullTiles"`
	Partial     int     `json:"partialTiles"`
	Requests    int     `json:"requests"`
}

func main() {
	verifier, err := note.NewVerifier(os.Args[2])
	check(err, "vkey")
	f := &follower{address: os.Args[1], verifier: verifier, tiles: map[string][]byte{}}
	if len(os.Args) > 3 {
		f.apiKey = os.Args[3]
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := json.Marshal(f.look())
		check(err, "report")
		fmt.Println(string(answer))
	}
}

func (f *follower) look() report {
	tree := f.checkpoint()
	hashes := tlog.TileHashReader(tree, f)
	found := report{Size: tree.N}
	found.Inclusions = f.proveEntries(tree, hashes)
	for _, old := range f.sizes(tree.N) {
		f.proveGrowth(old, tree, hashes)
		found.Consistency = append(found.Consistency, old)
	}
	for _, old := range f.trees {
		proof, err := tlog.ProveTree(tree.N, old.N, hashes)
		check(err, "growth from a checkpoint")
		check(tlog.CheckTree(proof, tree.N, tree.Hash, old.N, old.Hash), "growth from a checkpoint")
		found.Consistency = append(found.Consistency, old.N)
	}
	f.trees = append(f.trees, tree)
	for path := range f.tiles {
		if strings.Contains(path, ".p/") {
			found.Partial++
		} else {
			found.FullTiles++
		}
	}
	found.Requests = f.requests
	return found
}

// checkpoint fetches and verifies the newest tree head.
func (f *follower) checkpoint() tlog.Tree {
	opened, err := note.Open(f.get("/checkpoint"), note.VerifierList(f.verifier))
	check(err, "signature of the checkpoint")
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != f.verifier.Name() {
		fail("expected origin, size and root, got %q", opened.Text)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err, "tree size")
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err, "root")
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], root)
	return tree
}

// proveEntries proves each entry of each bundle in the tree, and in the first larger checkpoint known before.
func (f *follower) proveEntries(tree tlog.Tree, hashes tlog.HashReader) int {
	proved := 0
	for start := int64(0); start < tree.N; start += width {
		count := tree.N - start
		if count > width {
			count = width
		}
		for offset, entry := range split(f.get(entriesPath(start/width, count))) {
			index := start + int64(offset)
			f.proveEntry(index, entry, tree, hashes)
			proved++
		}
	}
	if int64(proved) != tree.N {
		fail("expected %d entries, got %d", tree.N, proved)
	}
	return proved
}

func (f *follower) proveEntry(index int64, entry []byte, tree tlog.Tree, hashes tlog.HashReader) {
	proof, err := tlog.ProveRecord(tree.N, index, hashes)
	check(err, "inclusion")
	check(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)), "inclusion")
	for _, old := range f.trees {
		if index < old.N {
			before := tlog.TileHashReader(old, f)
			proof, err := tlog.ProveRecord(old.N, index, before)
			check(err, "inclusion in an earlier tree")
			check(tlog.CheckRecord(proof, old.N, old.Hash, index, tlog.RecordHash(entry)), "inclusion in an earlier tree")
			return
		}
	}
}

// proveGrowth proves that the tree at some size, whose head is computed here, is a prefix.
func (f *follower) proveGrowth(old int64, tree tlog.Tree, hashes tlog.HashReader) {
	head, err := tlog.TreeHash(old, hashes)
	check(err, "earlier head")
	proof, err := tlog.ProveTree(tree.N, old, hashes)
	check(err, "growth")
	check(tlog.CheckTree(proof, tree.N, tree.Hash, old, head), "growth")
}

func (f *follower) sizes(size int64) []int64 {
	var found []int64
	for _, one := range []int64{1, 2, 3, 255, 256, 257, 511, 512, 513, size / 2, size - 1, size} {
		if one > 0 && one <= size {
			found = append(found, one)
		}
	}
	return found
}

// Height, ReadTiles and SaveTiles make a tlog.TileReader of the log's hash tiles.
func (f *follower) Height() int { return height }

func (f *follower) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "/tile/", 1)
		data, known := f.tiles[path]
		if !known {
			data = f.get(path)
		}
		found = append(found, data)
	}
	return found, nil
}

func (f *follower) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for number, tile := range tiles {
		f.tiles[strings.Replace(tile.Path(), "tile/8/", "/tile/", 1)] = data[number]
	}
}

func entriesPath(index, count int64) string {
	path := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		path = fmt.Sprintf("x%03d/%s", index%1000, path)
	}
	if count < width {
		path = fmt.Sprintf("%s.p/%d", path, count)
	}
	return "/tile/entries/" + path
}

func split(bundle []byte) [][]byte {
	var entries [][]byte
	for len(bundle) > 0 {
		if len(bundle) < 2 || len(bundle) < 2+int(bundle[0])<<8+int(bundle[1]) {
			fail("expected whole entries in a bundle")
		}
		end := 2 + int(bundle[0])<<8 + int(bundle[1])
		entries = append(entries, bundle[2:end])
		bundle = bundle[end:]
	}
	return entries
}

func (f *follower) get(path string) []byte {
	request, err := http.NewRequest("GET", f.address+path, nil)
	check(err, path)
	if f.apiKey != "" {
		request.Header.Set("Authorization", "Bearer "+f.apiKey)
	}
	answer, err := http.DefaultClient.Do(request)
	check(err, path)
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	check(err, path)
	if answer.StatusCode != 200 {
		fail("%s: expected status 200, got %d", path, answer.StatusCode)
	}
	f.requests++
	return data
}

func check(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}

func fail(format string, values ...interface{}) {
	fmt.Fprintf(os.Stderr, format+"\n", values...)
	os.Exit(1)
}
