"""Common words of other languages beside the English ones; written as `hints.py` tells.

Japanese is read two letters at a time, so its entries have two.
"""

from typing import Final

TONGUES: Final = """
rechnung rechnungen facture factura facturas fattura 請求 invoice bill
bestellung bestellungen commande pedido pedidos ordine 注文 order
lieferschein albarán delivery_note packing_slip packing_list delivery_slip > lieferschein order
kunde kunden client cliente clientes 顧客 customer
urlaub vacances vacaciones ferie 休暇 有給 vacation leave
störung defekt kaputt avería panne guasto 故障 broken defect fault problem report
fahrzeug dienstwagen wagen auto coche voiture 社用 car vehicle company_car
reservieren buchen reservar réserver prenotare 予約 reserve book
suchen suche finde buscar busca chercher trouver cercare 検索 search find
lager warehouse almacén existencias bestand stock entrepôt magazzino 在庫
artikel artículo produit producto prodotto 商品 product article
besprechungsraum konferenzraum sitzungszimmer raum zimmer sala salle stanza 会議 部屋 room meeting
besprechung termin reunión cita réunion rendez-vous appuntamento 予定 meeting appointment event calendar
wetter tiempo météo temps 天気 weather
morgen mañana demain domani 明日 tomorrow
heute hoy aujourd'hui oggi 今日
zug tren train treno 電車
flug vuelo vol volo 飛行 flight
licht luz lumière luce 電気 照明 light
heizung calefacción chauffage riscaldamento 暖房 heating thermostat
tür puerta porte porta ドア door
musik música musique musica 音楽 music
übersetzen übersetze traducir traduce traduire traduci 翻訳 translate
nachricht mensaje message messaggio メッ
senden schick schicke sende enviar envía envoyer invia 送信 送っ send
löschen lösche borrar borra supprimer elimina cancella 削除 delete remove
anlegen erstelle erstellen crear crea créer crée creare 作成 作っ create
ändern ändere cambiar cambia changer modifier 変更 change update
zeige zeig anzeigen muestra mostrar montre affiche mostra 表示
absagen stornieren storniere cancelar annuler annulla キャ cancel
drucken drucke imprimir imprime imprimer stampa 印刷 print
hochladen subir téléverser アッ upload
herunterladen descargar télécharger scarica ダウ download
neustart neustarten starte reiniciar reinicia redémarrer riavvia 再起 restart
server servidor serveur サー machine host
speicher festplatte disco disque ディ disk memory
passwort kennwort contraseña mot_passe パス password
zurücksetzen restablecer réinitialiser リセ reset
mitarbeiter kollege empleado employé dipendente 社員 employee
gehalt lohn nómina sueldo salaire stipendio 給与 salary payslip
arbeitszeit stempeln einstempeln ausstempeln fichar pointer timbrare 出勤 退勤 勤怠 clock working
überweisen überweisung transferencia virement bonifico 振込 transfer money
konto kontostand cuenta compte conto 口座 account balance
kalender calendario calendrier 予定 calendar
erinnere erinnerung recordatorio recuérdame rappel rappelle ricordami リマ reminder remind
wecker timer temporizador minuteur タイ
datei archivo fichier 書類 file
ordner carpeta dossier cartella フォ folder
bericht informe rapport レポ report
preis precio prix prezzo 価格 値段 price
krank enfermo malade malato 病気 sick
arzt médico médecin medico 医者 病院 doctor
rezept receta recette ricetta レシ recipe
einkaufsliste compra courses spesa 買い shopping
fenster rolladen rollläden persiana volet 窓を window blind shutter
wieviel wieviele cuántas cuántos combien quanti いくつ いくら number amount
protokoll protokolle logs registro journaux ログ log
fehler errores erreur errore エラ error
zusammenfassen zusammenfassung resumir resumen résumer riassumi 要約 summarize
frei freinehmen frei_nehmen freier_tag > urlaub vacation leave
auto auto_da bus_da kombi transporter > fahrzeug dienstwagen vehicle
paket päckchen papier_paket beipackzettel > lieferschein parcel
kaputt geht_nicht funktioniert_nicht licht_nicht tropft defekt > störung haustechnik broken defect
bezahlt unbezahlt offen überfällig zahlen > rechnung unbezahlte invoice unpaid
cobrar cobrarle cobro facturar > factura crear invoice create
queda quedan nos_quedan hay_todavía unidades > existencias stock
frühstück essen mittagessen kantine > canteen menu meal
heim nach_hause feierabend > clock end working
帰り 退社 > 退勤 clock end
出社 始業 着き > 出勤 clock start
残っ 残り あり > 在庫 stock
休み 休日 > 休暇 leave vacation
使え 取っ 空い > 予約 reserve
buche bestelle bestellen kaufe kaufen > book order buy
wo_ist wohin wann wieviel_uhr > where when
verschieben verschiebe mover aplazar déplacer sposta > move
"""
