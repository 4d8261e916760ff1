// Witness cosigns checkpoints of one log, with the packages that the formats come from.
//
//	witness <log vkey> <name>
//
// It is a tlog-witness as small as can be: state in memory, one log, golang.org/x/mod/sumdb/note for the log's
// signature and tlog.CheckTree for growth. It prints its vkey and the address it listens on, and ends with its input.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const cosignature = 0x04

type witness struct {
	log    note.Verifier
	name   string
	key    ed25519.PrivateKey
	lock   sync.Mutex
	size   int64
	root   tlog.Hash
	latest []byte
}

func main() {
	log, err := note.NewVerifier(os.Args[1])
	check(err)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	check(err)
	w := &witness{log: log, name: os.Args[2], key: key}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err)
	public := append([]byte{cosignature}, w.public()...)
	fmt.Printf("vkey %s+%x+%s\n", w.name, w.keyHash(), base64.StdEncoding.EncodeToString(public))
	fmt.Printf("listening on http://%s\n", listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	http.HandleFunc("/add-checkpoint", w.add)
	http.HandleFunc("/", w.show)
	check(http.Serve(listener, nil))
}

func (w *witness) public() []byte { return w.key.Public().(ed25519.PublicKey) }

func (w *witness) keyHash() []byte {
	sum := sha256.Sum256(append([]byte(w.name+"\n"+string(rune(cosignature))), w.public()...))
	return sum[:4]
}

func (w *witness) show(answer http.ResponseWriter, request *http.Request) {
	w.lock.Lock()
	defer w.lock.Unlock()
	hash := sha256.Sum256([]byte(w.log.Name()))
	if w.latest == nil || request.URL.Path != fmt.Sprintf("/%x/checkpoint", hash) {
		http.Error(answer, "none", http.StatusNotFound)
		return
	}
	answer.Write(w.latest)
}

func (w *witness) add(answer http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, 1<<20))
	if err != nil {
		return
	}
	head, message, _ := bytes.Cut(body, []byte("\n\n"))
	lines := strings.Split(string(head), "\n")
	old, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "old "), 10, 64)
	if err != nil {
		http.Error(answer, "old", http.StatusBadRequest)
		return
	}
	opened, err := note.Open(message, note.VerifierList(w.log))
	if err != nil {
		http.Error(answer, err.Error(), http.StatusForbidden)
		return
	}
	size, root, ok := tree(opened.Text, w.log.Name())
	if !ok || old > size {
		http.Error(answer, "checkpoint", http.StatusBadRequest)
		return
	}
	proof, ok := hashes(lines[1:])
	if !ok {
		http.Error(answer, "proof", http.StatusBadRequest)
		return
	}
	w.lock.Lock()
	defer w.lock.Unlock()
	if old != w.size {
		answer.Header().Set("Content-Type", "text/x.tlog.size")
		answer.WriteHeader(http.StatusConflict)
		fmt.Fprintf(answer, "%d\n", w.size)
		return
	}
	if !w.extends(size, root, proof) {
		http.Error(answer, "growth", http.StatusUnprocessableEntity)
		return
	}
	line := w.cosign(opened.Text)
	w.size, w.root, w.latest = size, root, append(append([]byte{}, message...), line...)
	io.WriteString(answer, line)
}

func (w *witness) extends(size int64, root tlog.Hash, proof tlog.TreeProof) bool {
	switch {
	case w.size == 0:
		return len(proof) == 0
	case w.size == size:
		return len(proof) == 0 && w.root == root
	}
	return tlog.CheckTree(proof, size, root, w.size, w.root) == nil
}

func (w *witness) cosign(text string) string {
	now := time.Now().Unix()
	signature := ed25519.Sign(w.key, []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", now, text)))
	blob := binary.BigEndian.AppendUint64(w.keyHash(), uint64(now))
	return fmt.Sprintf("— %s %s\n", w.name, base64.StdEncoding.EncodeToString(append(blob, signature...)))
}

func tree(text, origin string) (int64, tlog.Hash, bool) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != origin {
		return 0, tlog.Hash{}, false
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	root, failure := tlog.ParseHash(lines[2])
	return size, root, err == nil && failure == nil
}

func hashes(lines []string) (tlog.TreeProof, bool) {
	proof := tlog.TreeProof{}
	for _, line := range lines {
		hash, err := tlog.ParseHash(line)
		if err != nil {
			return nil, false
		}
		proof = append(proof, hash)
	}
	return proof, true
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
